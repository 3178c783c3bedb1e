//! Burns with a known end, drawn from families of what happens to budgets.
//!
//! **In:** a family and a seed.
//! **Out:** a [`Burn`]: what every cell of five minutes spends, past and future, and the
//! time at which the budget is really spent.
//! **Not here:** the estimate; nothing of it is used.

/// Seconds of a cell.
pub(crate) const CELL: f64 = 300.0;

/// A day, in seconds.
pub(crate) const DAY: f64 = 86_400.0;

/// What happens to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Few errors, then a steady ratio above the allowed one. Daily traffic, 1 to 1000/s.
    Steady,
    /// The same with a request every 10 to 100 seconds.
    FewEvents,
    /// The logarithm of the error ratio is an AR(1) process.
    Wandering,
    /// Incidents of minutes to hours come and go.
    Bursts,
    /// The error ratio doubles every 12 hours to 4 days.
    Ramp,
    /// An old burst leaves the window while errors go on.
    RollOff,
    /// Money with a daily shape and noise.
    DailySpend,
    /// Money that began to run away 10 or 30 minutes ago.
    Runaway,
    /// Money at prices that wander for days.
    SpotPrices,
}

pub(crate) const FAMILIES: [Family; 9] = [
    Family::Steady,
    Family::FewEvents,
    Family::Wandering,
    Family::Bursts,
    Family::Ramp,
    Family::RollOff,
    Family::DailySpend,
    Family::Runaway,
    Family::SpotPrices,
];

/// One burn. Cells begin at `begin` seconds; 0 is now and a whole number of cells away.
#[derive(Clone, Debug)]
pub(crate) struct Burn {
    /// When the first cell begins, in seconds after now; negative.
    pub(crate) begin: f64,
    /// Errors, or money, per cell.
    pub(crate) bad: Vec<f64>,
    /// Events, or hours, per cell.
    pub(crate) total: Vec<f64>,
    /// The window's length in seconds.
    pub(crate) length: f64,
    /// When the calendar period began; `None` for a rolling window.
    pub(crate) period_from: Option<f64>,
    /// The part of events, or the amount, that may be bad.
    pub(crate) allowed: f64,
    pub(crate) is_money: bool,
    /// Seconds of the day at which now is.
    pub(crate) now_of_day: f64,
}

/// Splitmix64 and what is drawn from it.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Between, with equal chance for equal factors.
    pub(crate) fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn coin(&mut self) -> bool {
        self.unit() < 0.5
    }

    /// A Poisson count; the normal approximation above 50.
    fn count(&mut self, mean: f64) -> f64 {
        if 50.0 < mean {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.unit(), 0.0);
        while limit < product {
            product *= self.unit();
            n += 1.0;
        }
        n
    }
}

/// A stationary AR(1) process of a given deviation and memory.
struct Wander {
    value: f64,
    keep: f64,
    shock: f64,
}

impl Wander {
    fn new(chance: &mut Chance, deviation: f64, memory: f64) -> Wander {
        let keep = (-CELL / memory).exp();
        let shock = deviation * (1.0 - keep * keep).sqrt();
        Wander { value: deviation * chance.normal(), keep, shock }
    }

    fn step(&mut self, chance: &mut Chance) -> f64 {
        self.value = self.value * self.keep + self.shock * chance.normal();
        self.value
    }
}

/// On and off, each for exponential times.
struct Switch {
    is_on: bool,
    on: f64,
    off: f64,
}

impl Switch {
    fn step(&mut self, chance: &mut Chance) -> bool {
        let mean = if self.is_on { self.on } else { self.off };
        if chance.unit() < CELL / mean {
            self.is_on = !self.is_on;
        }
        self.is_on
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
fn whole(value: f64) -> usize {
    value.max(0.0).round() as usize
}

/// Draws a burn.
pub(crate) fn draw(family: Family, seed: u64) -> Burn {
    let mut chance = Chance::new(seed);
    match family {
        Family::DailySpend | Family::Runaway | Family::SpotPrices => money(family, &mut chance),
        Family::Steady
        | Family::FewEvents
        | Family::Wandering
        | Family::Bursts
        | Family::Ramp
        | Family::RollOff => errors(family, &mut chance),
    }
}

/// Length, begin of the period (for a calendar window) and begin of the simulation.
fn window(chance: &mut Chance) -> (f64, Option<f64>, f64) {
    let length = if chance.coin() { 7.0 * DAY } else { 30.0 * DAY };
    if chance.coin() {
        return (length, None, -(length + DAY));
    }
    let from = -(length * chance.between(0.15, 0.9) / CELL).round() * CELL;
    (length, Some(from), from - 3.0 * DAY)
}

fn errors(family: Family, chance: &mut Chance) -> Burn {
    let (length, mut period_from, mut begin) = window(chance);
    if family == Family::RollOff {
        (period_from, begin) = (None, -(length + DAY));
    }
    let (allowed, per_second) = if family == Family::FewEvents {
        (chance.log_between(1e-2, 5e-2), chance.log_between(0.01, 0.1))
    } else {
        (chance.log_between(1e-3, 2e-2), chance.log_between(1.0, 1000.0))
    };
    let swing = chance.between(0.0, 0.6);
    let now_of_day = (chance.between(0.0, DAY) / CELL).floor() * CELL;
    let mut traffic_wander = Wander::new(chance, 0.1, 3600.0);
    // Ratios are in units of the allowed one.
    let quiet = chance.between(0.05, 0.6);
    let high = chance.log_between(1.5, 20.0);
    let mut age = chance.log_between(1800.0, 2.0 * DAY);
    if family == Family::FewEvents {
        // Asked when some 20 to 200 bad events have been seen.
        age = (chance.log_between(20.0, 200.0) / (per_second * allowed * high)).min(3.0 * DAY);
    }
    let mut wander = {
        let deviation = chance.between(0.3, 0.9);
        let memory = chance.log_between(2.0 * 3600.0, 2.0 * DAY);
        Wander::new(chance, deviation, memory)
    };
    let mut switch = Switch {
        is_on: false,
        on: chance.log_between(1200.0, 7200.0),
        off: chance.log_between(3.0, 12.0) * 3600.0,
    };
    let pattern_age = chance.between(2.0, 5.0) * DAY;
    let doubling = chance.log_between(0.5, 4.0) * DAY;
    // Asked when it has become visible: 1.2 to 4 times what is allowed.
    let ramp_age = doubling * (chance.log_between(1.2, 4.0) / quiet).log2();
    let burst_at = -length * chance.between(0.6, 0.98);
    let burst_size = chance.between(0.2, 0.6);
    let burst_lasts = chance.log_between(3600.0, 12.0 * 3600.0);
    let wander_age = if chance.coin() { chance.between(0.3, 3.0) * DAY } else { f64::INFINITY };
    let wander_high =
        if wander_age.is_finite() { chance.between(1.5, 6.0) } else { chance.between(0.6, 1.1) };
    let now_ratio = chance.between(0.5, 1.5);
    let mut burn = Burn {
        begin,
        bad: Vec::new(),
        total: Vec::new(),
        length,
        period_from,
        allowed,
        is_money: false,
        now_of_day,
    };
    let mut at = begin;
    while at < burn.horizon() {
        let shape = 1.0 + swing * (std::f64::consts::TAU * (at + now_of_day) / DAY).sin();
        let rate = per_second * shape * traffic_wander.step(chance).exp();
        let total = chance.count(rate * CELL);
        let ratio = match family {
            Family::Steady | Family::FewEvents => {
                if at < -age {
                    quiet
                } else {
                    high
                }
            }
            Family::Wandering => {
                wander.step(chance).exp() * if at < -wander_age { quiet } else { wander_high }
            }
            Family::Bursts => {
                let on = switch.step(chance);
                if on && -pattern_age <= at { 4.0 * high } else { quiet }
            }
            Family::Ramp => quiet * 2.0_f64.powf(((at + ramp_age) / doubling).clamp(0.0, 40.0)),
            Family::RollOff => {
                let in_burst = burst_at <= at && at < burst_at + burst_lasts;
                let burst = burst_size * length / burst_lasts;
                if in_burst {
                    burst
                } else if at < -age {
                    quiet
                } else {
                    now_ratio
                }
            }
            Family::DailySpend | Family::Runaway | Family::SpotPrices => 0.0,
        };
        burn.total.push(total);
        burn.bad.push(chance.count((ratio * allowed).min(0.9) * total).min(total));
        at += CELL;
    }
    burn
}

fn money(family: Family, chance: &mut Chance) -> Burn {
    let (length, period_from, begin) = window(chance);
    let per_hour = chance.log_between(0.1, 1000.0);
    let swing = chance.between(0.0, 0.6);
    let now_of_day = (chance.between(0.0, DAY) / CELL).floor() * CELL;
    let mut noise = {
        let (deviation, memory) = (chance.between(0.03, 0.3), chance.log_between(600.0, 21_600.0));
        Wander::new(chance, deviation, memory)
    };
    let mut spot = {
        let (deviation, memory) = (chance.between(0.15, 0.5), chance.between(0.5, 4.0) * DAY);
        Wander::new(chance, deviation, memory)
    };
    let runaway = chance.log_between(3.0, 30.0);
    let runaway_age = if chance.coin() { 600.0 } else { 1800.0 };
    let mut burn = Burn {
        begin,
        bad: Vec::new(),
        total: Vec::new(),
        length,
        period_from,
        allowed: 0.0,
        is_money: true,
        now_of_day,
    };
    let mut at = begin;
    while at < burn.horizon() {
        let shape = 1.0 + swing * (std::f64::consts::TAU * (at + now_of_day) / DAY).sin();
        let mut rate = per_hour * shape * noise.step(chance).exp();
        if family == Family::SpotPrices {
            rate *= spot.step(chance).exp();
        }
        if family == Family::Runaway && -runaway_age <= at {
            rate *= runaway;
        }
        burn.bad.push(rate * CELL / 3600.0);
        burn.total.push(CELL / 3600.0);
        at += CELL;
    }
    // What is left is drawn, in units of what a usual window costs; the future is not asked.
    let (spent, _) = burn.kept(0.0);
    burn.allowed = spent + per_hour * length / 3600.0 * chance.log_between(0.01, 0.5);
    burn
}

impl Burn {
    /// How far a forecast looks.
    pub(crate) fn horizon(&self) -> f64 {
        self.period_from.map_or(self.length, |from| from + self.length)
    }

    /// Sums of the window at an instant.
    fn kept(&self, at: f64) -> (f64, f64) {
        let from = self.period_from.unwrap_or(at - self.length);
        let range = whole((from - self.begin) / CELL)..whole((at - self.begin) / CELL);
        let sum = |it: &[f64]| it.get(range.clone()).unwrap_or_default().iter().sum::<f64>();
        (sum(&self.bad), sum(&self.total))
    }

    /// How much is left at a sum.
    fn left(&self, (bad, total): (f64, f64)) -> f64 {
        if self.is_money { self.allowed - bad } else { self.allowed * total - bad }
    }

    /// Whether nothing is left now.
    pub(crate) fn is_spent(&self) -> bool {
        self.left(self.kept(0.0)) <= 0.0
    }

    /// When it is spent, in seconds from now, between cells on a straight line.
    pub(crate) fn truth(&self) -> Option<f64> {
        let mut sum = self.kept(0.0);
        let mut before = self.left(sum);
        let mut at = 0.0;
        while at < self.horizon() {
            let new = whole((at - self.begin) / CELL);
            let add = |sum: f64, it: &[f64]| sum + it.get(new).copied().unwrap_or(0.0);
            sum = (add(sum.0, &self.bad), add(sum.1, &self.total));
            if self.period_from.is_none() {
                let old = whole((at - self.length - self.begin) / CELL);
                let take = |sum: f64, it: &[f64]| sum - it.get(old).copied().unwrap_or(0.0);
                sum = (take(sum.0, &self.bad), take(sum.1, &self.total));
            }
            let after = self.left(sum);
            if after <= 0.0 {
                return Some(at + CELL * before / (before - after));
            }
            (before, at) = (after, at + CELL);
        }
        None
    }

    /// Buckets of a width, as (from, until, bad, total), of the last `span` seconds.
    pub(crate) fn buckets(&self, width: f64, span: f64) -> Vec<(f64, f64, f64, f64)> {
        let mut found: Vec<(f64, f64, f64, f64)> = Vec::new();
        let mut at = (-span).max(self.begin);
        while at < -0.5 * CELL {
            let nth = whole((at - self.begin) / CELL);
            let get = |it: &[f64]| it.get(nth).copied().unwrap_or(0.0);
            // Buckets end at whole widths of a grid that is not aligned with now.
            let key = ((at + 0.37 * width) / width).floor();
            let until = (at + CELL).min(0.0);
            let (bad, total) = (get(&self.bad), get(&self.total));
            match found.last_mut() {
                Some(it) if ((it.0 + 0.37 * width) / width).floor().total_cmp(&key).is_eq() => {
                    *it = (it.0, until, it.2 + bad, it.3 + total);
                }
                _ => found.push((at, until, bad, total)),
            }
            at += CELL;
        }
        found
    }

    /// The ledger of its window.
    pub(crate) fn ledger(&self) -> Vec<(f64, f64, f64, f64)> {
        let span = self.period_from.map_or(self.length, |from| -from);
        self.buckets(self.length / 120.0, span)
    }
}
