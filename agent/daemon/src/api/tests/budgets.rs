//! What is shown of SLOs and budgets. Who may look is in the table of `access`.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::agent::Input;
use evenkeel_core::documents::{
    AlertPolicy, Budgeting, Economy, Indicator, MetricQuery, Objective, Slo,
};
use evenkeel_core::ids::{ServiceName, SloId};
use evenkeel_core::slo::window::Window;
use expect_test::{Expect, expect};
use jiff::SignedDuration;

use super::stage::{Stage, Who, documents};

fn slo() -> Slo {
    let query = |it: &str| MetricQuery::PromQl(it.to_owned());
    Slo {
        id: SloId::new("checkout").unwrap(),
        display_name: "Checkout".to_owned(),
        service: ServiceName::new("cart").unwrap(),
        window: Window::Rolling(SignedDuration::from_hours(28 * 24)),
        budgeting: Budgeting::Occurrences,
        objectives: vec![Objective {
            name: "answered".to_owned(),
            target: 0.99,
            indicator: Indicator::GoodOfTotal {
                good: query("good"),
                total: query("total"),
                is_counter: true,
            },
            slice: None,
            weight: 1.0,
        }],
        is_composite: false,
        alert_policies: AlertPolicy::workbook(0.01),
        is_critical: true,
    }
}

fn stage() -> Stage {
    let slo = slo();
    let economy = Economy {
        slos: BTreeMap::from([(slo.id.clone(), slo)]),
        n_documents: 1,
        ..Economy::default()
    };
    let documents = Arc::new(documents().with_economy(economy));
    let stage = Stage::new();
    stage.documents.send_replace(Arc::clone(&documents));
    stage.feed(Input::DocumentsLoaded(documents));
    stage
}

#[test]
fn slos_and_budgets_are_answered_in_the_shape_of_the_core() {
    let stage = stage();
    let slos = stage.get(Who::Owner, "/v1/slos");
    assert_eq!(slos.status, 200, "{}", slos.text());
    let slos: evenkeel_core::api::budgets::SloReport = serde_json::from_value(slos.json()).unwrap();
    assert_eq!(slos.at, super::stage::now());
    let budgets = stage.get(Who::Owner, "/v1/budgets");
    assert_eq!(budgets.status, 200, "{}", budgets.text());
    let budgets: evenkeel_core::api::budgets::BudgetReport =
        serde_json::from_value(budgets.json()).unwrap();
    assert_eq!(budgets.at, super::stage::now());
    assert_eq!(stage.get(Who::Owner, "/v1/slos?target=cart").status, 400);
    assert_eq!(stage.get(Who::Owner, "/v1/budgets?all=true").status, 400);
}

#[track_caller]
fn check_fits(stage: &Stage, body: &str, status: u16, expected: &Expect) {
    let answer = stage.post(Who::Account("vera"), "/v1/budgets/fits", body);
    assert_eq!(answer.status, status, "{body}: {}", answer.text());
    let json = answer.json();
    expected.assert_eq(json["error"].as_str().unwrap_or("answered"));
}

#[test]
fn whether_a_drill_fits_is_answered_to_who_may_look_and_a_wrong_question_is_refused() {
    let stage = stage();
    let ask = |slo: &str, share: &str| format!(r#"{{"slo":"{slo}","spends_ratio":{share}}}"#);
    check_fits(&stage, &ask("checkout", "0.1"), 200, &expect!["answered"]);
    check_fits(&stage, &ask("checkout", "1"), 200, &expect!["answered"]);
    check_fits(&stage, &ask("nothing", "0.1"), 404, &expect!["there is no SLO `nothing`"]);
    check_fits(
        &stage,
        &ask("checkout", "0"),
        422,
        &expect!["`spends_ratio` is 0, it must be above 0 and at most 1"],
    );
    check_fits(
        &stage,
        &ask("checkout", "1.5"),
        422,
        &expect!["`spends_ratio` is 1.5, it must be above 0 and at most 1"],
    );
    let unknown_field = r#"{"slo":"checkout","spends_ratio":0.1,"x":1}"#;
    assert_eq!(stage.post(Who::Owner, "/v1/budgets/fits", unknown_field).status, 400);
    assert_eq!(stage.get(Who::Owner, "/v1/budgets/fits").status, 405);
    // A question leaves no record.
    let records = stage.get(Who::Owner, "/v1/history?kind=request_refused").json();
    assert_eq!(records["records"].as_array().map(Vec::len), Some(0));
}
