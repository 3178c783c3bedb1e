//! What the agent would have exported over recorded traffic.
//!
//! In: `worldcup98_requests_1m.csv` (requests per minute) and three `crane_*` traces (the
//! tenants' shares of them).
//! Out: OpenMetrics, made by the core's own meters: counts in slots of 30 s, money every 30 s.
//! Not here: the faults are made up: a burst of errors, days with a few too many, a job that
//! runs away.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use evenkeel_core::budget::exhaustion::{Allowance, BurnOutlook, Exhaustion, exhaustion};
use evenkeel_core::documents::{
    AlertPolicy, Budget, BudgetOf, BudgetScope, Budgeting, Indicator, MetricQuery, Objective, Slo,
};
use evenkeel_core::ids::{BudgetId, ServiceName, SloId};
use evenkeel_core::slo::alert::Verdict;
use evenkeel_core::slo::standing::SloMeters;
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{Counts, SLOT, SliReading, SlotReading};
use evenkeel_core::spend::meter::SpendMeters;
use evenkeel_core::spend::money::Money;
use evenkeel_core::spend::rate::SpendRates;
use evenkeel_core::spend::runaway::Verdict as RunawayVerdict;
use evenkeel_testbed::prometheus::history;
use jiff::{SignedDuration, Timestamp};

/// Every so many seconds all metrics are exported.
pub(crate) const STEP_SECONDS: i64 = 900;

/// Monday, 8 June 1998: the tournament begins on Wednesday.
const FROM: i64 = 897_264_000;
const DAYS: i64 = 14;
const DAY: i64 = 86_400;
/// The window of the SLO and of the budgets.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const TARGET: f64 = 0.999;
/// What one unit costs per hour, and how many requests per second it carries.
const UNIT_PRICE: f64 = 0.35;
const UNIT_RPS: f64 = 25.0;
/// What may be spent in a week: of everything, and of the batch jobs.
const AMOUNTS: (f64, f64) = (2_700.0, 800.0);

/// What was made, and of when.
pub(crate) struct Recorded {
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// OpenMetrics, series by series.
    pub(crate) text: String,
    /// From what, in words.
    pub(crate) source: String,
}

/// Samples by series.
#[derive(Default)]
struct Series(BTreeMap<Name, Vec<(i64, f64)>>);

/// A metric and its labels.
type Name = (&'static str, Vec<(&'static str, String)>);

impl Series {
    fn add(&mut self, metric: &'static str, labels: &[(&'static str, &str)], at: i64, value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.0.entry((metric, labels)).or_default().push((at, value));
    }

    fn add_exhaustion(
        &mut self,
        metric: &'static str,
        labels: &[(&'static str, &str)],
        now: Timestamp,
        it: Option<Exhaustion>,
    ) {
        let Some(it) = it else { return };
        for (quantile, at) in [("0.1", it.p10), ("0.5", it.p50), ("0.9", it.p90)] {
            let labels: Vec<_> = labels.iter().copied().chain([("quantile", quantile)]).collect();
            if let Some(at) = at {
                let left = at.duration_since(now).as_secs_f64().max(0.0);
                self.add(metric, &labels, now.as_second(), left);
            }
        }
    }
}

pub(crate) fn record(traces: &Path) -> Recorded {
    let requests: BTreeMap<i64, f64> =
        trace(traces, "worldcup98_requests_1m.csv").into_iter().collect();
    let tenants = ["crane_9", "crane_13", "crane_0"]
        .map(|it| trace(traces, &format!("{it}_1m.csv")).iter().map(|it| it.1).collect::<Vec<_>>());
    let slo = slo();
    let window = Window::Rolling(WEEK);
    let mut meters = SloMeters::of(&slo);
    let budgets = [
        budget("all", BudgetScope::Everything, AMOUNTS.0),
        budget("batch", BudgetScope::Service(service("batch")), AMOUNTS.1),
    ];
    let mut money = SpendMeters::default();
    money.set_budgets(&budgets);
    let mut series = Series::default();
    let mut rps_smooth = 0.0;
    let until = FROM + DAYS * DAY;
    for at in (FROM..=until).step_by(usize::try_from(SLOT.as_secs()).expect("seconds")) {
        let now = instant(at);
        let minute = requests.get(&((at - 1).div_euclid(60) * 60)).copied();
        let counts =
            minute.map(|n| Counts { bad: (n / 2.0 * error_ratio(at)).floor(), total: n / 2.0 });
        let slot = SlotReading { at: now, counts, carried: None };
        let reading =
            SliReading { slo: slo.id.clone(), objective: 0, step: SLOT, slots: vec![slot] };
        meters.observe(now, &reading);

        let rps = minute.map_or(rps_smooth, |it| it / 60.0);
        rps_smooth += (rps - rps_smooth) / 60.0;
        let rates = rates(rps_smooth, at);
        let good = counts.map_or(0.0, |it| (it.total - it.bad) / SLOT.as_secs_f64());
        let good = BTreeMap::from([(service("web"), good), (service("batch"), 4.0)]);
        money.observe(now, &rates, None, &good);
        if at % STEP_SECONDS == 0 && FROM < at {
            export_slo(&mut series, &mut meters, &slo, &window, now);
            export_money(&mut series, &money, &budgets, &rates, now);
            export_tenants(&mut series, &tenants, rps_smooth, rates.total_per_hour, at);
        }
    }
    let mut text = String::new();
    for ((metric, labels), samples) in &series.0 {
        let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        text.push_str(&history(metric, &labels, samples.iter().copied()));
    }
    let source = "traffic: FIFA World Cup 1998 web site, 8 to 22 June, requests per minute; tenants share it \
        as three production loads of crane. Errors, prices and the runaway job are made up; the \
        meters are the agent's.";
    Recorded { from: FROM, until, text, source: source.to_owned() }
}

/// Made up: a few always, a burst on Friday, one and a half days with a few too many.
fn error_ratio(at: i64) -> f64 {
    let hours = (at - FROM).div_euclid(60) as f64 / 60.0;
    match hours {
        it if (110.0..110.6).contains(&it) => 0.06,
        it if (206.0..236.0).contains(&it) => 0.0026,
        _ => 0.0003,
    }
}

/// Made up: web follows its load, the cache does not, a job runs away on the second Thursday
/// until somebody stops it.
fn rates(rps: f64, at: i64) -> SpendRates {
    let hours = (at - FROM) as f64 / 3600.0;
    let runaway = if (251.0..262.0).contains(&hours) { 4.0 + (hours - 251.0) * 3.0 } else { 0.0 };
    let web = (rps * 1.3 / UNIT_RPS).ceil().max(4.0) * UNIT_PRICE;
    let by_service: BTreeMap<ServiceName, f64> =
        [("web", web), ("cache", 2.4), ("batch", 2.8 + runaway)]
            .map(|(name, rate)| (service(name), rate))
            .into();
    SpendRates { total_per_hour: by_service.values().sum(), by_service, ..SpendRates::default() }
}

fn export_slo(
    series: &mut Series,
    meters: &mut SloMeters,
    slo: &Slo,
    window: &Window,
    now: Timestamp,
) {
    let standing = meters.evaluate(now);
    let at = now.as_second();
    let it = &standing.objectives[0];
    let of = [("slo", slo.id.as_str()), ("objective", it.objective.as_str())];
    if let Some(left) = it.budget_left {
        series.add("evenkeel_slo_error_budget_left_ratio", &of, at, left);
    }
    series.add("evenkeel_slo_coverage_ratio", &of, at, it.coverage);
    for burn in &it.burn_rates {
        let lookback = evenkeel_core::units::show_duration(burn.lookback);
        if let Some(rate) = burn.burn_rate {
            let labels = [of[0], of[1], ("window", lookback.as_str())];
            series.add("evenkeel_slo_burn_rate", &labels, at, rate);
        }
    }
    for alert in &it.alerts {
        let severity = alert.severity.to_string();
        let labels =
            [of[0], of[1], ("policy", alert.policy.as_str()), ("severity", severity.as_str())];
        let firing = f64::from(u8::from(alert.verdict == Verdict::Firing));
        series.add("evenkeel_slo_alert_firing", &labels, at, firing);
    }
    let meter = meters.meter(0).expect("one objective");
    let ledger: Vec<_> = meter.ledger().buckets().collect();
    let recent = meter.recent(SignedDuration::from_mins(5), 864);
    let outlook = BurnOutlook {
        now,
        window,
        allowance: Allowance::BadRatio(1.0 - TARGET),
        ledger: &ledger,
        recent: &recent,
        traffic: &[],
    };
    series.add_exhaustion("evenkeel_slo_exhaustion_seconds", &of, now, exhaustion(&outlook));
    for outcome in ["answered", "failed"] {
        let n = if outcome == "failed" { 0.0 } else { ((at - FROM) / 30) as f64 };
        series.add("evenkeel_slo_reads_total", &[("outcome", outcome)], at, n);
        series.add("evenkeel_spend_reads_total", &[("outcome", outcome)], at, n);
    }
}

fn export_money(
    series: &mut Series,
    money: &SpendMeters,
    budgets: &[Budget],
    rates: &SpendRates,
    now: Timestamp,
) {
    let at = now.as_second();
    for budget in budgets {
        let BudgetOf::Spend { scope, amount, window } = &budget.of else { continue };
        let of = [("budget", budget.id.as_str())];
        let spent = money.spent(&budget.id).expect("metered");
        let ratio = spent.amount() / amount.amount();
        series.add("evenkeel_budget_spent_ratio", &of, at, ratio);
        let ledger = money.ledger(&budget.id);
        let recent = money.recent(scope, SignedDuration::from_hours(72));
        let outlook = BurnOutlook {
            now,
            window,
            allowance: Allowance::Amount(amount.amount()),
            ledger: &ledger,
            recent: &recent,
            traffic: &[],
        };
        series.add_exhaustion("evenkeel_budget_exhaustion_seconds", &of, now, exhaustion(&outlook));
        let runs_away = matches!(money.runaway(scope, 1.5, None), RunawayVerdict::Runaway { .. });
        for (threshold, kind, is_crossed) in
            [("80%", "spent", 0.8 <= ratio), ("runaway", "runaway", runs_away)]
        {
            let labels = [of[0], ("threshold", threshold), ("kind", kind)];
            series.add(
                "evenkeel_budget_threshold_crossed",
                &labels,
                at,
                f64::from(u8::from(is_crossed)),
            );
        }
    }
    for (service, rate) in &rates.by_service {
        let labels = [("service", service.as_str()), ("currency", "USD")];
        series.add("evenkeel_spend_per_hour", &labels, at, *rate);
        let scope = BudgetScope::Service(service.clone());
        if let Ok(cost) = money.unit_cost(&scope, SignedDuration::from_hours(24)) {
            series.add("evenkeel_spend_cost_per_thousand_good", &[labels[0]], at, cost);
        }
    }
    series.add("evenkeel_spend_estimated", &[], at, 0.0);
}

/// Shares as those of three real loads, minute by minute from their beginnings.
fn export_tenants(series: &mut Series, traces: &[Vec<f64>], rps: f64, per_hour: f64, at: i64) {
    let minute = usize::try_from((at - FROM) / 60).expect("not before");
    let loads: Vec<f64> = traces
        .iter()
        .map(|it| {
            let mean = it.iter().sum::<f64>() / it.len() as f64;
            it[minute % it.len()] / mean
        })
        .collect();
    let all: f64 = loads.iter().sum();
    for (tenant, load) in ["acme", "globex", "initech"].iter().zip(&loads) {
        let share = load / all;
        let labels = [("tenant", *tenant)];
        series.add("evenkeel_tenant_requests_per_second", &labels, at, rps * share);
        series.add("evenkeel_tenant_cost_per_hour", &labels, at, per_hour * share);
    }
}

fn budget(name: &str, scope: BudgetScope, amount: f64) -> Budget {
    let window = Window::Rolling(WEEK);
    Budget {
        id: BudgetId::new(name).expect("a name"),
        of: BudgetOf::Spend { scope, amount: Money::of(amount), window },
        thresholds: Vec::new(),
        clears_after: SignedDuration::from_mins(10),
    }
}

fn slo() -> Slo {
    let query = |name: &str| MetricQuery::PromQl(format!("{name}_requests_total"));
    let objective = Objective {
        name: "answered".to_owned(),
        target: TARGET,
        indicator: Indicator::BadOfTotal {
            bad: query("bad"),
            total: query("all"),
            is_counter: true,
        },
        slice: None,
        weight: 1.0,
    };
    Slo {
        id: SloId::new("web-availability").expect("a name"),
        display_name: "The web site answers".to_owned(),
        service: service("web"),
        window: Window::Rolling(WEEK),
        budgeting: Budgeting::Occurrences,
        alert_policies: AlertPolicy::workbook(objective.error_budget()),
        objectives: vec![objective],
        is_composite: false,
        is_critical: true,
    }
}

fn trace(folder: &Path, file: &str) -> Vec<(i64, f64)> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    let rows = text.lines().skip(1).filter_map(|it| it.split_once(','));
    rows.filter_map(|(at, value)| Some((at.parse().ok()?, value.trim().parse().ok()?))).collect()
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).expect("a name")
}

fn instant(at: i64) -> Timestamp {
    Timestamp::from_second(at).expect("an instant")
}
