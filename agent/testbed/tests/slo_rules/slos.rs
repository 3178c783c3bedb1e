//! SLOs of every kind, with the series they look at.
//!
//! In: a number of slots.
//! Out: cases, and what the agent says of each in every slot.
//! Not here: what Prometheus says of them.

use evenkeel_core::documents::{
    AlertPolicy, Budgeting, BurnCondition, Comparison, Indicator, MetricQuery, Objective, Slice,
    Slo,
};
use evenkeel_core::ids::{ServiceName, SloId};
use evenkeel_core::incident::Severity;
use evenkeel_core::slo::increments::{Grid, slot_readings};
use evenkeel_core::slo::standing::SloMeters;
use evenkeel_core::slo::window::Window;
use evenkeel_core::slo::{SLOT, SliReading};
use jiff::{SignedDuration, Timestamp};

use crate::promtool::Expected;
use crate::series::{Samples, Weather, counters, gauge};

/// One SLO and the answers to its queries: `[objective][query][series]`.
pub(crate) struct Case {
    pub(crate) slo: Slo,
    pub(crate) n_slots: usize,
    answers: Vec<Vec<Vec<(String, Samples)>>>,
}

fn promql(query: &str) -> MetricQuery {
    MetricQuery::PromQl(query.to_owned())
}

fn objective(name: &str, target: f64, indicator: Indicator) -> Objective {
    Objective { name: name.to_owned(), target, indicator, slice: None, weight: 1.0 }
}

fn slo(name: &str, objectives: Vec<Objective>) -> Slo {
    let strictest = objectives.iter().map(Objective::error_budget).fold(1.0, f64::min);
    let mut alert_policies = AlertPolicy::workbook(strictest);
    // One that must hold for a while, so that there are pending ones too.
    alert_policies.push(AlertPolicy {
        name: "held".to_owned(),
        severity: Severity::Info,
        conditions: vec![BurnCondition {
            lookback: SignedDuration::from_mins(10),
            op: Comparison::Gte,
            threshold: 1.0,
            alert_after: SignedDuration::from_mins(3),
        }],
        when_breaching: true,
        when_resolved: false,
        when_no_data: false,
        notification_targets: vec!["chat".to_owned()],
    });
    Slo {
        id: SloId::new(name).expect("a name"),
        display_name: format!("{name} \"{{{{ as it is }}}}\""),
        service: ServiceName::new("checkout").expect("a name"),
        // Longer than what Prometheus is asked for: promtool sums up 10,000 samples at most.
        window: Window::Rolling(SignedDuration::from_hours(90 * 24)),
        budgeting: Budgeting::Occurrences,
        is_composite: 1 < objectives.len(),
        objectives,
        alert_policies,
        is_critical: false,
    }
}

fn sliced(slo: Slo, budgeting: Budgeting, minutes: i64) -> Slo {
    let good_ratio_min = (budgeting == Budgeting::Timeslices).then_some(0.95);
    let slice = Slice { width: SignedDuration::from_mins(minutes), good_ratio_min };
    let objectives =
        slo.objectives.into_iter().map(|it| Objective { slice: Some(slice), ..it }).collect();
    Slo { budgeting, objectives, ..slo }
}

fn good_of_total() -> Indicator {
    Indicator::GoodOfTotal {
        // An expression, with a comment at its end.
        good: promql("sum by (pod) (good_total{job=\"a\"}) # without the instance"),
        total: promql("total_a"),
        is_counter: true,
    }
}

fn bad_of_total() -> Indicator {
    // Several metrics with the same labels.
    let bad = promql("{__name__=~\"bad_[xy]_total\"}");
    Indicator::BadOfTotal { bad, total: promql("total_b"), is_counter: true }
}

/// Two instances for [`good_of_total`]; the second has weather of its own.
fn answers_good(n: usize, seed: u64, per_slot: u64) -> Vec<Vec<(String, Samples)>> {
    let mut queries = vec![Vec::new(), Vec::new()];
    for (nth, pod) in ["one", "two"].into_iter().enumerate() {
        let seed = seed + u64::try_from(nth).unwrap_or(0) * 10;
        let [good, total] = counters(&Weather::of(seed, n), seed + 1, per_slot, true);
        queries[0].push((format!("good_total{{job=\"a\",pod=\"{pod}\"}}"), good));
        queries[1].push((format!("total_a{{pod=\"{pod}\"}}"), total));
    }
    queries
}

/// Two metrics of failures for [`bad_of_total`], of which one begins with its first.
fn answers_bad(n: usize, seed: u64, per_slot: u64) -> Vec<Vec<(String, Samples)>> {
    let [bad, total] = counters(&Weather::of(seed, n), seed + 1, per_slot, false);
    let first = bad.iter().position(|it| it.is_some_and(|it| 0.0 < it)).unwrap_or(0);
    let begins = |(k, it): (usize, &Option<f64>)| it.filter(|_| first < k);
    let other = bad.iter().enumerate().map(begins).collect();
    vec![
        vec![
            ("bad_x_total{pod=\"one\"}".to_owned(), bad),
            ("bad_y_total{pod=\"one\"}".to_owned(), other),
        ],
        vec![("total_b{pod=\"one\"}".to_owned(), total)],
    ]
}

/// One of every kind.
pub(crate) fn all(n: usize) -> Vec<Case> {
    let case = |slo, answers| Case { slo, n_slots: n, answers };
    let weather = Weather::of(7, n);
    let one_gauge = || vec![vec![("gauge{pod=\"one\"}".to_owned(), gauge(&weather))]];
    let threshold =
        Indicator::Threshold { metric: promql("gauge"), op: Comparison::Lt, value: 0.25 };
    let raw = Indicator::Raw { ratio: promql("gauge"), is_success: false };
    let rated = Indicator::BadOfTotal {
        bad: promql("gauge * 64"),
        total: promql("gauge * 0 + 64"),
        is_counter: false,
    };
    let answers_rated = || {
        let of = |value: &dyn Fn(f64) -> f64| -> Samples {
            gauge(&weather).iter().map(|it| it.map(value)).collect()
        };
        vec![
            vec![("gauge{pod=\"one\"}".to_owned(), of(&|it| it * 64.0))],
            vec![(String::new(), of(&|_| 64.0))],
        ]
    };
    let journey = || {
        let mut parts = vec![
            objective("read", 0.99, good_of_total()),
            objective("write", 0.98, bad_of_total()),
        ];
        parts[1].weight = 0.5;
        slo("journey", parts)
    };
    let answers_journey = || vec![answers_good(n, 21, 100), answers_bad(n, 31, 0)];
    let renamed = |mut slo: Slo, name: &str| {
        slo.id = SloId::new(name).expect("a name");
        slo
    };
    vec![
        case(
            slo("events", vec![objective("good", 0.999, good_of_total())]),
            vec![answers_good(n, 1, 300)],
        ),
        case(slo("few", vec![objective("bad", 0.99, bad_of_total())]), vec![answers_bad(n, 2, 2)]),
        case(
            sliced(
                slo("slices", vec![objective("good", 0.98, good_of_total())]),
                Budgeting::Timeslices,
                2,
            ),
            vec![answers_good(n, 3, 50)],
        ),
        case(journey(), answers_journey()),
        case(
            renamed(sliced(journey(), Budgeting::Timeslices, 1), "journey-slices"),
            answers_journey(),
        ),
        case(
            renamed(sliced(journey(), Budgeting::RatioTimeslices, 1), "journey-shares"),
            answers_journey(),
        ),
        case(slo("threshold", vec![objective("fast", 0.99, threshold)]), vec![one_gauge()]),
        case(slo("raw", vec![objective("share", 0.99, raw)]), vec![one_gauge()]),
        case(slo("rated", vec![objective("share", 0.99, rated)]), vec![answers_rated()]),
    ]
}

impl Case {
    /// What Prometheus scrapes; each series once.
    pub(crate) fn series(&self) -> Vec<(String, Samples)> {
        let mut all: Vec<(String, Samples)> = Vec::new();
        if self.slo.id.as_str() == "rated" {
            return vec![("gauge{pod=\"one\"}".to_owned(), gauge(&Weather::of(7, self.n_slots)))];
        }
        for (name, samples) in self.answers.iter().flatten().flatten() {
            if all.iter().all(|it| it.0 != *name) {
                all.push((name.clone(), samples.clone()));
            }
        }
        all
    }

    /// What the agent says in every slot; the 0th slot ends at the epoch.
    pub(crate) fn verdicts(&self) -> Vec<Expected> {
        let mut meters = SloMeters::of(&self.slo);
        let mut found: Vec<Expected> = Vec::new();
        for k in 0..self.n_slots {
            let second = i64::try_from(k).expect("few slots") * SLOT.as_secs();
            let now = Timestamp::from_second(second).expect("a time");
            for (nth, queries) in self.answers.iter().enumerate() {
                let grid = Grid { first: now - SLOT, step: SLOT, n: 2 };
                // At the first evaluation there is nothing before.
                let pair = |it: &Samples| vec![k.checked_sub(1).and_then(|k| it[k]), it[k]];
                let answers: Vec<Vec<_>> = queries
                    .iter()
                    .map(|query| query.iter().map(|it| pair(&it.1)).collect())
                    .collect();
                let indicator = &self.slo.objectives[nth].indicator;
                let slots = slot_readings(indicator, grid, &answers);
                let slo = self.slo.id.clone();
                meters.observe(now, &SliReading { slo, objective: nth, step: SLOT, slots });
            }
            let standing = meters.evaluate(now);
            let mut nth = 0;
            for of in standing.judged() {
                for alert in &of.alerts {
                    let policy = self.slo.alert_policies.iter().find(|it| it.name == alert.policy);
                    for state in ["firing", "pending", "no_data"] {
                        if found.len() <= nth {
                            found.push(Expected {
                                objective: of.objective.clone(),
                                policy: alert.policy.clone(),
                                state,
                                slots: vec![false; self.n_slots],
                            });
                        }
                        let is_told =
                            state != "no_data" || policy.is_some_and(|it| it.when_no_data);
                        found[nth].slots[k] = is_told && alert.verdict.name() == state;
                        nth += 1;
                    }
                }
            }
        }
        found
    }
}
