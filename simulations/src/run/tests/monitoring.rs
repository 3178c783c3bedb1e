//! Pages, and how long an incident lasted, on an outage that is made up.
//!
//! **In:** an outage of known length. **Out:** panics of failed tests.
//! **Not here:** what people do when they are paged.

use super::{SURGE, agents, play, scenario};
use crate::pilot::PilotKind;
use crate::run::Controller;

const DOWN: &str = "      - { at: 3m, for: 4m, down: { service: web } }\n";

fn nobodys(faults: &str) -> super::Played {
    play(&scenario(&format!("    faults:\n{faults}")), Controller::Pilot(PilotKind::None))
}

#[test]
fn an_outage_is_paged_for_once_noticed_and_ended() {
    let played = nobodys(DOWN);
    let paged = played.first_page.expect("somebody is paged");
    // 14.4 % of the last hour's requests: with 8 minutes of it known, after 70 s or so.
    assert!((195..=300).contains(&paged), "{paged}");
    let (mttd, mttr) = played.means;
    let (mttd, mttr) = (mttd.expect("noticed"), mttr.expect("repaired"));
    // It begins with the first bucket that is bad, at 195 s, and ends with the last, at 420 s
    // and the few seconds until queues are empty.
    assert!((mttd - f64::from(i32::try_from(paged).unwrap_or(0) - 195)).abs() <= 15.0, "{mttd}");
    assert!((210.0..=270.0).contains(&mttr), "{mttr}");
}

#[test]
fn nobody_is_paged_without_an_outage_or_while_the_pager_is_dead() {
    assert_eq!(nobodys("      - { at: 3m, for: 1m, slow_boot: { factor: 2 } }\n").first_page, None);
    let dead = format!("{DOWN}      - {{ at: 1m, for: 18m, pager_dead: {{}} }}\n");
    let played = nobodys(&dead);
    assert_eq!(played.first_page, None);
    // Never noticed, and over all the same.
    assert_eq!(played.means.0, None);
    assert!(played.means.1.is_some());
}

#[test]
fn what_goes_on_at_the_end_counts_as_long_as_it_has_lasted() {
    let down = "      - { at: 10m, for: 10m, down: { service: web } }\n";
    let mttr = nobodys(down).means.1.expect("an incident");
    assert!((570.0..=600.0).contains(&mttr), "{mttr}");
}

#[test]
fn a_person_who_waits_for_a_page_acts_that_long_after_it() {
    let played = agents(
        &format!("{SURGE}{DOWN}"),
        "      - { after_page: 2m, hold: { services: [web], for: 1m } }\n",
    );
    let paged = played.first_page.expect("somebody is paged");
    let act = format!("{} a person: Hold", paged + 120);
    assert!(played.lines.iter().any(|it| it.starts_with(&act)), "{act}");
}
