//! Rates, summaries and full lines.

use expect_test::expect;

use super::super::line::{Job, Line, Next, Parcel, WAITING_MAX};
use super::*;

#[tokio::test(start_paused = true)]
async fn over_the_limit_lower_severities_are_summed_up_and_pages_go_first() {
    let script = Script::default();
    let mut stage = Stage::with(&[("chat", Severity::Info, false, &script)]);
    for id in 1..=32 {
        stage.start(notice(id, Severity::Ticket));
    }
    for id in 101..=112 {
        stage.start(notice(id, Severity::Page));
    }
    let heard = stage.all_heard(Duration::from_secs(300)).await;
    assert_eq!(heard.matches("Delivered").count(), 44, "{heard}");
    // Twenty tickets, ten pages at once, two pages every 2 s, the summary after a minute.
    let told = script.told();
    let lines: Vec<&str> = told.lines().collect();
    let shown = [lines[0], lines[19], lines[20], lines[29], lines[30], lines[31], lines[32]];
    expect![[r#"
        0 s: took notice 1
        0 s: took notice 20
        0 s: took notice 101
        0 s: took notice 110
        2 s: took notice 111
        4 s: took notice 112
        60 s: took 12 more notices, see `evenkeel incidents`"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(lines.len(), 33, "{told}");
    expect![[r#"
        evenkeel_notices_total{topic="approval_wanted",channel="chat",outcome="delivered"} 32
        evenkeel_notices_total{topic="approval_wanted",channel="chat",outcome="summarised"} 12
        evenkeel_notifier_dead 0"#]]
    .assert_eq(&stage.counted());
    // Later there is room again.
    stage.start(notice(200, Severity::Info));
    stage.all_heard(Duration::from_secs(1)).await;
    assert!(script.told().ends_with("took notice 200"), "{}", script.told());
}

#[tokio::test(start_paused = true)]
async fn no_minute_has_more_messages_than_its_limit_and_what_was_saved_up() {
    let script = Script::default();
    let mut stage = Stage::with(&[("chat", Severity::Info, false, &script)]);
    for id in 0..200 {
        let severity = if id % 3 == 0 { Severity::Page } else { Severity::Ticket };
        stage.start(notice(id, severity));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let heard = stage.all_heard(Duration::from_secs(300)).await;
    assert_eq!(heard.matches("Delivered").count(), 200, "{heard}");
    let told = script.told();
    let seconds: Vec<u64> =
        told.lines().map(|it| it.split(' ').next().unwrap().parse().unwrap()).collect();
    for from in &seconds {
        let n = seconds.iter().filter(|it| *from <= **it && **it < from + 60).count();
        assert!(n <= 60, "{n} within a minute of {from} s");
    }
    let pages = told.lines().filter(|it| !it.contains("more notices")).count();
    assert!(67 <= pages, "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_fails_is_sent_again_and_counts_more() {
    let script = Script::default();
    let mut stage = Stage::with(&[("chat", Severity::Info, false, &script)]);
    for id in 1..=22 {
        stage.start(notice(id, Severity::Ticket));
    }
    script.answer(std::iter::repeat_n(Ok(()), 20));
    script.answer([Err(broken())]);
    tokio::time::sleep(Duration::from_millis(60_500)).await;
    stage.start(notice(23, Severity::Ticket));
    let heard = stage.all_heard(Duration::from_secs(100)).await;
    assert_eq!(heard.matches("Delivered").count(), 23, "{heard}");
    let told = script.told();
    let last: Vec<&str> = told.lines().skip(20).collect();
    expect![[r#"
        60 s: refused 2 more notices, see `evenkeel incidents`
        61 s: took 3 more notices, see `evenkeel incidents`"#]]
    .assert_eq(&last.join("\n"));
}

#[test]
fn a_full_line_drops_the_oldest_that_is_no_page() {
    let job = |id, severity| Job::new(Arc::new(notice(id, severity)));
    let mut line = Line::new(tokio::time::Instant::now());
    let max = u64::try_from(WAITING_MAX).unwrap();
    assert!(line.push(job(0, Severity::Page)).is_none());
    for id in 1..max {
        assert!(line.push(job(id, Severity::Ticket)).is_none(), "{id}");
    }
    let dropped = |it: Option<Job>| it.map(|it| it.notice.id.0);
    assert_eq!(dropped(line.push(job(5_001, Severity::Page))), Some(1));
    assert_eq!(dropped(line.push(job(5_002, Severity::Info))), Some(2));
    for id in 6_000..6_000 + max {
        line.push(job(id, Severity::Page));
    }
    // Pages only by now: they stay, and what is less urgent finds no room.
    assert_eq!(dropped(line.push(job(7_999, Severity::Page))), None);
    assert_eq!(dropped(line.push(job(8_000, Severity::Ticket))), Some(8_000));
    let Next::Send(Parcel::One(first)) = line.next(tokio::time::Instant::now()) else {
        panic!("a page waits")
    };
    assert_eq!(first.notice.id.0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_notice_ends() {
    let script = Script::default();
    script.set_broken(true);
    let mut stage = Stage::with(&[("chat", Severity::Info, false, &script)]);
    let max = u64::try_from(WAITING_MAX).unwrap();
    for id in 0..=max {
        stage.start(notice(id, Severity::Ticket));
    }
    expect!["no-0 GivenUp"].assert_eq(&stage.heard(Duration::from_secs(1)).await);
}
