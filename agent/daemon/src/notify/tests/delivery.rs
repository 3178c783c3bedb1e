//! Retries, deduplication, and the notifier's own death.

use expect_test::expect;

use super::*;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_twice_gets_it_at_the_third_attempt() {
    let script = Script::default();
    script.answer([Err(broken()), Err(broken())]);
    let mut stage = Stage::with(&[("chat", Severity::Ticket, false, &script)]);
    stage.start(notice(1, Severity::Page));
    stage.start(notice(2, Severity::Ticket));
    expect![[r#"
        no-1 Delivered
        no-2 Delivered
        alive"#]]
    .assert_eq(&stage.all_heard(SOON).await);
    expect![[r#"
        0 s: refused notice 1
        1 s: refused notice 1
        3 s: took notice 1
        3 s: took notice 2"#]]
    .assert_eq(&script.told());
    expect![[r#"
        evenkeel_notices_total{topic="approval_wanted",channel="chat",outcome="delivered"} 2
        evenkeel_notifier_dead 0"#]]
    .assert_eq(&stage.counted());
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_five_minutes_and_no_longer_than_asked() {
    let script = Script::default();
    script.set_broken(true);
    let stage = Stage::with(&[("chat", Severity::Ticket, false, &script)]);
    stage.start(notice(1, Severity::Page));
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    expect![[r#"
        0 s: refused notice 1
        1 s: refused notice 1
        3 s: refused notice 1
        7 s: refused notice 1
        15 s: refused notice 1
        31 s: refused notice 1
        63 s: refused notice 1
        127 s: refused notice 1
        255 s: refused notice 1
        511 s: refused notice 1
        811 s: refused notice 1
        1111 s: refused notice 1"#]]
    .assert_eq(&script.told());

    let script = Script::default();
    let again_after = Duration::from_secs(40);
    script.answer([Err(Failure::Channel { reason: "HTTP 429".to_owned(), again_after })]);
    let stage = Stage::with(&[("chat", Severity::Ticket, false, &script)]);
    stage.start(notice(1, Severity::Page));
    tokio::time::sleep(Duration::from_secs(60)).await;
    expect![[r#"
        0 s: refused notice 1
        40 s: took notice 1"#]]
    .assert_eq(&script.told());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_lets_others_pass() {
    let script = Script::default();
    let refused = || Err(Failure::Message { reason: "answered HTTP 400".to_owned() });
    script.answer([refused(), Ok(()), refused()]);
    let mut stage = Stage::with(&[("chat", Severity::Ticket, false, &script)]);
    stage.start(notice(1, Severity::Page));
    stage.start(notice(2, Severity::Page));
    stage.all_heard(SOON).await;
    expect![[r#"
        0 s: refused notice 1
        0 s: took notice 2
        1 s: refused notice 1
        3 s: took notice 1"#]]
    .assert_eq(&script.told());
}

#[tokio::test(start_paused = true)]
async fn after_a_day_it_is_given_up() {
    let script = Script::default();
    script.set_broken(true);
    let mut stage = Stage::with(&[("chat", Severity::Ticket, false, &script)]);
    stage.start(notice(1, Severity::Page));
    let day = Duration::from_secs(25 * 3_600);
    assert!(stage.heard(SOON * 20).await.starts_with("dead: "));
    expect!["no-1 GivenUp"].assert_eq(&stage.heard(day).await);
    // What is older than a day when it comes is not tried at all.
    let n_before = script.told().lines().count();
    stage.start(notice(2, Severity::Page));
    expect!["no-2 GivenUp"].assert_eq(&stage.heard(SOON).await);
    assert_eq!(script.told().lines().count(), n_before);
    expect![[r#"
        evenkeel_notices_total{topic="approval_wanted",channel="chat",outcome="given_up"} 2
        evenkeel_notifier_dead 1"#]]
    .assert_eq(&stage.counted());
}

#[tokio::test(start_paused = true)]
async fn delivered_means_every_channel_that_wants_it_has_it() {
    let (chat, mail) = (Script::default(), Script::default());
    mail.answer([Err(broken()), Err(broken()), Err(broken())]);
    let mut stage = Stage::with(&[
        ("chat", Severity::Ticket, false, &chat),
        ("mail", Severity::Page, false, &mail),
    ]);
    stage.start(notice(1, Severity::Page));
    stage.start(notice(2, Severity::Ticket));
    stage.start(notice(3, Severity::Info));
    expect![[r#"
        no-2 Delivered
        no-3 Delivered
        alive
        no-1 Delivered"#]]
    .assert_eq(&stage.all_heard(SOON).await);
    expect![[r#"
        0 s: took notice 1
        0 s: took notice 2"#]]
    .assert_eq(&chat.told());
    expect![[r#"
        0 s: refused notice 1
        1 s: refused notice 1
        3 s: refused notice 1
        7 s: took notice 1"#]]
    .assert_eq(&mail.told());
}

#[tokio::test(start_paused = true)]
async fn without_channels_everything_is_delivered_to_nobody() {
    let mut stage = Stage::with(&[]);
    stage.start(notice(1, Severity::Page));
    expect!["no-1 Delivered"].assert_eq(&stage.all_heard(SOON).await);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_comes_again_is_not_sent_again() {
    let script = Script::default();
    script.answer([Err(broken())]);
    let mut stage = Stage::with(&[("chat", Severity::Ticket, false, &script)]);
    stage.start(notice(1, Severity::Page));
    stage.start(notice(1, Severity::Page));
    expect![[r#"
        no-1 Delivered
        alive"#]]
    .assert_eq(&stage.all_heard(SOON).await);
    // The core asks only when it did not hear how it ended: it is told again.
    stage.start(notice(1, Severity::Page));
    expect!["no-1 Delivered"].assert_eq(&stage.all_heard(SOON).await);
    expect![[r#"
        0 s: refused notice 1
        1 s: took notice 1"#]]
    .assert_eq(&script.told());
}

#[tokio::test(start_paused = true)]
async fn the_core_hears_within_dead_after_that_nobody_can_be_reached_and_when_it_is_over() {
    let (chat, mail) = (Script::default(), Script::default());
    chat.set_broken(true);
    mail.set_broken(true);
    let mut stage = Stage::with(&[
        ("chat", Severity::Ticket, false, &chat),
        ("mail", Severity::Page, false, &mail),
    ]);
    stage.start(notice(1, Severity::Page));
    let failing_at = tokio::time::Instant::now();
    let heard = stage.heard(Duration::from_secs(3_600)).await;
    expect!["dead: channel `chat` has failed for 5 min: answered HTTP 500; look at the receiver; channel `mail` has failed for 5 min: answered HTTP 500; look at the receiver"].assert_eq(&heard);
    assert_eq!(failing_at.elapsed().as_secs(), 300);
    assert!(stage.counted().contains("evenkeel_notifier_dead 1"), "{}", stage.counted());
    chat.set_broken(false);
    expect!["alive"].assert_eq(&stage.heard(Duration::from_secs(3_600)).await);
    assert!(stage.counted().contains("evenkeel_notifier_dead 0"), "{}", stage.counted());
}

#[tokio::test(start_paused = true)]
async fn one_channel_of_two_may_fail_unless_it_is_required() {
    for (required, expected) in [
        (false, expect!["alive"]),
        (
            true,
            expect![[r#"
        alive
        dead: channel `mail`, required, has failed for 5 min: answered HTTP 500; look at the receiver"#]],
        ),
    ] {
        let (chat, mail) = (Script::default(), Script::default());
        mail.set_broken(true);
        let mut stage = Stage::with(&[
            ("chat", Severity::Ticket, false, &chat),
            ("mail", Severity::Ticket, required, &mail),
        ]);
        stage.start(notice(1, Severity::Page));
        expected.assert_eq(&stage.all_heard(Duration::from_secs(3_600)).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_hangs_holds_up_no_other() {
    let (chat, mail) = (Script::default(), Script::default());
    mail.set_broken(true);
    let stage = Stage::with(&[
        ("mail", Severity::Ticket, false, &mail),
        ("chat", Severity::Ticket, false, &chat),
    ]);
    for id in 1..=3 {
        stage.start(notice(id, Severity::Page));
    }
    tokio::time::sleep(SOON).await;
    expect![[r#"
        0 s: took notice 1
        0 s: took notice 2
        0 s: took notice 3"#]]
    .assert_eq(&chat.told());
}
