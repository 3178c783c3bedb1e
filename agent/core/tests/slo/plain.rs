//! The verdicts of alert policies in the plainest way.
//!
//! **In:** samples of counters, and from when on each can be read.
//! **Out:** a verdict per policy at every evaluation.
//! **Not here:** anything of `evenkeel_core::slo` but its documents: no ring, no ledger.

use evenkeel_core::documents::{AlertPolicy, Budgeting, Comparison, Indicator, Slo};

/// Samples of one objective, all 30 seconds apart: `[query][series][k]`.
pub(crate) type Samples = Vec<Vec<Vec<Sample>>>;

/// A sample and the evaluation from which on it can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    pub(crate) from: usize,
}

/// One objective: bad and all events per slot as known so far, or not known.
struct Part {
    slots: Vec<Option<(f64, f64)>>,
    /// What counts: the same, or one event in the last slot of a slice.
    events: Vec<Option<(f64, f64)>>,
    /// Per window: bad, all, slots observed.
    sums: Vec<(f64, f64, usize)>,
}

/// Everything for one SLO.
pub(crate) struct Plain<'a> {
    slo: &'a Slo,
    parts: Vec<Part>,
    /// Slices of a composite.
    together: Part,
    /// In slots.
    windows: Vec<usize>,
    /// Since when each policy of each judged objective holds.
    since: Vec<Vec<Option<usize>>>,
    now: usize,
}

impl<'a> Plain<'a> {
    pub(crate) fn of(slo: &'a Slo, n: usize) -> Plain<'a> {
        let mut windows: Vec<usize> = slo
            .alert_policies
            .iter()
            .flat_map(|it| &it.conditions)
            .map(|it| usize::try_from(it.lookback.as_secs() / 30).unwrap())
            .collect();
        windows.sort_unstable();
        windows.dedup();
        let part = || Part {
            slots: vec![None; n],
            events: vec![None; n],
            sums: vec![(0.0, 0.0, 0); windows.len()],
        };
        Plain {
            slo,
            parts: slo.objectives.iter().map(|_| part()).collect(),
            together: part(),
            since: vec![vec![None; slo.alert_policies.len()]; slo.objectives.len()],
            windows,
            now: 0,
        }
    }

    /// Slots `from..=now` of an objective are read, at evaluation `now`.
    pub(crate) fn read(&mut self, nth: usize, samples: &Samples, from: usize, now: usize) {
        for k in from..=now {
            let counted = |query: &Vec<Vec<Sample>>| {
                let mut sum = None;
                for series in query {
                    let (before, after) = (series[k - 1], series[k]);
                    if before.from <= now && after.from <= now {
                        let more = after.value - before.value;
                        let more = if more < 0.0 { after.value } else { more };
                        sum = Some(sum.unwrap_or(0.0) + more);
                    }
                }
                sum
            };
            let (part, total) = (counted(&samples[0]), counted(&samples[1]));
            let read = match self.slo.objectives[nth].indicator {
                Indicator::GoodOfTotal { .. } => match (part, total) {
                    (Some(good), Some(total)) => Some(((total - good).max(0.0), total)),
                    _ => None,
                },
                _ => total.map(|total| (part.unwrap_or(0.0).min(total), total)),
            };
            if read.is_some() {
                self.parts[nth].slots[k] = read;
            }
        }
        let width = self.slo.objectives[nth]
            .slice
            .map_or(1, |it| usize::try_from(it.width.as_secs() / 30).unwrap());
        // A slot that was read late changes the end of its slice.
        for k in from..=now {
            let event = self.event(nth, k, width);
            change(&mut self.parts[nth], &self.windows, self.now, k, event);
            let event = self.event_together(k);
            change(&mut self.together, &self.windows, self.now, k, event);
        }
    }

    /// What slot `k` counts. Slots are numbered from a midnight on.
    fn event(&self, nth: usize, k: usize, width: usize) -> Option<(f64, f64)> {
        let slots = &self.parts[nth].slots;
        let Some(slice) = self.slo.objectives[nth].slice else { return slots[k] };
        if !k.is_multiple_of(width) {
            return slots[k].map(|_| (0.0, 0.0));
        }
        let observed: Vec<(f64, f64)> =
            (k.saturating_sub(width - 1)..=k).filter_map(|it| slots[it]).collect();
        if observed.is_empty() {
            return None;
        }
        let bad: f64 = observed.iter().map(|it| it.0).sum();
        let total: f64 = observed.iter().map(|it| it.1).sum();
        if total == 0.0 {
            return slots[k].map(|_| (0.0, 0.0));
        }
        let bad = match self.slo.budgeting {
            Budgeting::RatioTimeslices => bad / total,
            _ if (total - bad) / total < slice.good_ratio_min.unwrap() - 1e-12 => 1.0,
            _ => 0.0,
        };
        Some((bad, 1.0))
    }

    fn event_together(&self, k: usize) -> Option<(f64, f64)> {
        let parts = || self.parts.iter().zip(&self.slo.objectives);
        let seen = || parts().filter_map(|(it, of)| it.events[k].map(|it| (it, of.weight)));
        if seen().count() == 0 {
            return None;
        }
        let total = if seen().any(|it| it.0.1 == 1.0) { 1.0 } else { 0.0 };
        let bad = match self.slo.budgeting {
            Budgeting::RatioTimeslices => seen().map(|it| it.0.0 * it.1).sum::<f64>().min(1.0),
            _ if seen().any(|it| it.0.0 == 1.0) => 1.0,
            _ => 0.0,
        };
        Some((bad, total))
    }

    /// Goes on to the next evaluation: every window gains a slot and loses one.
    pub(crate) fn step(&mut self) {
        self.now += 1;
        let now = self.now;
        for part in self.parts.iter_mut().chain([&mut self.together]) {
            for (sums, window) in part.sums.iter_mut().zip(&self.windows) {
                // What comes in was not read yet.
                if let Some(Some((bad, total))) = now.checked_sub(*window).map(|it| part.events[it])
                {
                    *sums = (sums.0 - bad, sums.1 - total, sums.2 - 1);
                }
            }
        }
    }

    /// Verdicts per judged objective and policy.
    pub(crate) fn verdicts(&mut self) -> Vec<Vec<&'static str>> {
        let n_judged = if self.slo.is_composite { 1 } else { self.slo.objectives.len() };
        (0..n_judged)
            .map(|nth| {
                (0..self.slo.alert_policies.len()).map(|policy| self.verdict(nth, policy)).collect()
            })
            .collect()
    }

    fn verdict(&mut self, nth: usize, nth_policy: usize) -> &'static str {
        let policy: &AlertPolicy = &self.slo.alert_policies[nth_policy];
        let longest = policy.conditions.iter().map(|it| it.lookback).max().unwrap();
        let (mut all, mut any_quiet, mut any_unseen) = (true, false, false);
        for it in &policy.conditions {
            let slots = usize::try_from(it.lookback.as_secs() / 30).unwrap();
            let w = self.windows.iter().position(|it| *it == slots).unwrap();
            let (burn, n_observed) = self.burn(nth, w);
            let holds = burn.map(|burn| match it.op {
                Comparison::Gt => burn > it.threshold,
                Comparison::Gte => burn >= it.threshold,
                Comparison::Lt => burn < it.threshold,
                Comparison::Lte => burn <= it.threshold,
            });
            let asks_for_much = matches!(it.op, Comparison::Gt | Comparison::Gte);
            let enough = !asks_for_much
                || it.lookback != longest
                || self.is_enough(nth, w, it.threshold, burn);
            all &= holds == Some(true) && enough;
            any_quiet |= holds == Some(false) || !enough;
            any_unseen |= n_observed == 0;
        }
        let since = &mut self.since[nth][nth_policy];
        if all {
            let since = *since.get_or_insert(self.now);
            let after = policy.conditions.iter().map(|it| it.alert_after.as_secs()).max().unwrap();
            let held = i64::try_from(self.now - since).unwrap() * 30;
            return if after <= held { "firing" } else { "pending" };
        }
        *since = None;
        if any_unseen {
            "no_data"
        } else if any_quiet {
            "quiet"
        } else {
            "no_traffic"
        }
    }

    /// Burn rate and slots observed.
    fn burn(&self, nth: usize, w: usize) -> (Option<f64>, usize) {
        let rate = |(bad, total, _): (f64, f64, usize), budget: f64| {
            if total == 0.0 { None } else { Some(bad / total / budget) }
        };
        if !self.slo.is_composite {
            let sums = self.parts[nth].sums[w];
            return (rate(sums, 1.0 - self.slo.objectives[nth].target), sums.2);
        }
        let n_observed = self.parts.iter().map(|it| it.sums[w].2).min().unwrap();
        if self.slo.budgeting != Budgeting::Occurrences {
            let strictest = self.slo.objectives.iter().map(|it| it.target).fold(0.0, f64::max);
            return (rate(self.together.sums[w], 1.0 - strictest), n_observed);
        }
        let mut sum = None;
        for (part, of) in self.parts.iter().zip(&self.slo.objectives) {
            if let Some(burn) = rate(part.sums[w], 1.0 - of.target) {
                sum = Some(sum.unwrap_or(0.0) + burn * of.weight);
            }
        }
        (sum, n_observed)
    }

    /// The two gates for few events.
    fn is_enough(&self, nth: usize, w: usize, factor: f64, burn: Option<f64>) -> bool {
        if self.slo.budgeting != Budgeting::Occurrences {
            return true;
        }
        let evidence = |(k, n, _): (f64, f64, usize), r: f64| {
            if k == 0.0 || k / n <= r {
                return 0.0;
            }
            let good = if n - k < 1e-9 { 1e-9 } else { n - k };
            2.0 * (k * (k / (n * r)).ln() + good * (good / (n * (1.0 - r))).ln())
        };
        if !self.slo.is_composite {
            let (sums, budget) = (self.parts[nth].sums[w], 1.0 - self.slo.objectives[nth].target);
            return evidence(sums, factor * budget) > 2.706 && evidence(sums, budget) > 29.0;
        }
        let Some(burn) = burn else { return false };
        let (mut over, mut chance) = (0.0, 0.0);
        for (part, of) in self.parts.iter().zip(&self.slo.objectives) {
            let (bad, total, _) = part.sums[w];
            if bad > 0.0 {
                over += evidence(part.sums[w], bad / total * (factor / burn));
                chance += evidence(part.sums[w], 1.0 - of.target);
            }
        }
        over > 2.706 && chance > 29.0
    }
}

/// A slot counts something else than before: so do the windows that it is in.
fn change(part: &mut Part, windows: &[usize], now: usize, k: usize, event: Option<(f64, f64)>) {
    let before = std::mem::replace(&mut part.events[k], event);
    if before == event {
        return;
    }
    for (sums, window) in part.sums.iter_mut().zip(windows) {
        if now < k + window {
            if let Some((bad, total)) = before {
                *sums = (sums.0 - bad, sums.1 - total, sums.2 - 1);
            }
            if let Some((bad, total)) = event {
                *sums = (sums.0 + bad, sums.1 + total, sums.2 + 1);
            }
        }
    }
}
