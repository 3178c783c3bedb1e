//! What people read.

use expect_test::{Expect, expect};

use super::super::line::Job;
use super::super::message::{Summary, defused, plain_summary, plain_text};
use super::super::outlet::{Told, webhook_body};
use super::super::slack::{notice_json, summary_json};
use super::*;

fn summary() -> Summary {
    let jobs: Vec<Job> =
        (20..32).map(|id| Job::new(Arc::new(notice(id, Severity::Ticket)))).collect();
    Summary::of(&jobs).unwrap()
}

#[track_caller]
fn check(shown: &str, expected: &Expect) {
    expected.assert_eq(&format!("{shown}\n"));
}

#[test]
fn a_mail_says_what_why_the_plan_and_how_to_answer() {
    check(
        &plain_text(&defused(full()), &region()),
        &expect![[r#"
        gray-node wants to replace i-07 of checkout-api

        Why
          error ratio 0.12 of i-07, 0.001 of its peers
          for 90 s

        Plan
          1. replace instance i-07 (undo: none)
          2. verify: error ratio < 0.01 within 5m

        To answer
          evenkeel approve run-4 --plan 9f2c11d0
          evenkeel deny run-4 --reason TEXT

        Runbook
          runbooks/playbooks/gray-node.md

        About
          target: checkout-api
          incident: inc-3
          run: run-4
          notice: no-12 of 2026-03-01 03:00:00 UTC
          region: eu-central-1

    "#]],
    );
    check(
        &plain_summary(&summary(), &region()),
        &expect![[r#"
        12 more notices, see `evenkeel incidents`

        Why
          There were more than this channel's limit since 2026-03-01 03:00:00 UTC; no-20 to no-31 are summed up here.

        About
          region: eu-central-1

    "#]],
    );
}

#[test]
fn a_chat_message_says_the_same_in_blocks() {
    let json = |it| serde_json::to_string_pretty(&it).unwrap();
    check(
        &json(notice_json(&defused(full()), &region())),
        &expect![[r#"
        {
          "blocks": [
            {
              "text": {
                "text": "*[page] gray-node wants to replace i-07 of checkout-api (eu-central-1)*",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            },
            {
              "text": {
                "text": "error ratio 0.12 of i-07, 0.001 of its peers\nfor 90 s",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            },
            {
              "text": {
                "text": "*Plan*\n```\n1. replace instance i-07 (undo: none)\n2. verify: error ratio &lt; 0.01 within 5m\n```",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            },
            {
              "text": {
                "text": "*To answer*\n```\nevenkeel approve run-4 --plan 9f2c11d0\nevenkeel deny run-4 --reason TEXT\n```",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            },
            {
              "text": {
                "text": "*Runbook* runbooks/playbooks/gray-node.md",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            },
            {
              "elements": [
                {
                  "text": "target: checkout-api · incident: inc-3 · run: run-4 · notice: no-12 of 2026-03-01 03:00:00 UTC · region: eu-central-1",
                  "type": "mrkdwn",
                  "verbatim": true
                }
              ],
              "type": "context"
            }
          ],
          "text": "[page] gray-node wants to replace i-07 of checkout-api (eu-central-1)",
          "unfurl_links": false,
          "unfurl_media": false
        }
    "#]],
    );
    check(
        &json(summary_json(&summary(), &region())),
        &expect![[r#"
        {
          "blocks": [
            {
              "text": {
                "text": "*[ticket] 12 more notices, see `evenkeel incidents` (eu-central-1)*",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            }
          ],
          "text": "[ticket] 12 more notices, see `evenkeel incidents` (eu-central-1)",
          "unfurl_links": false,
          "unfurl_media": false
        }
    "#]],
    );
}

#[test]
fn a_webhook_gets_the_notice_as_it_is() {
    let pretty = |told: Told<'_>| {
        let body = webhook_body(told, &region()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    let notice = defused(full());
    check(
        &pretty(Told::One(&notice)),
        &expect![[r#"
        {
          "answers": [
            "evenkeel approve run-4 --plan 9f2c11d0",
            "evenkeel deny run-4 --reason TEXT"
          ],
          "at": "2026-03-01T03:00:00Z",
          "body": "error ratio 0.12 of i-07, 0.001 of its peers\nfor 90 s",
          "id": "no-12",
          "incident": "inc-3",
          "plan": [
            "1. replace instance i-07 (undo: none)",
            "2. verify: error ratio < 0.01 within 5m"
          ],
          "region": "eu-central-1",
          "run": "run-4",
          "runbook": "runbooks/playbooks/gray-node.md",
          "severity": "page",
          "target": "checkout-api",
          "title": "gray-node wants to replace i-07 of checkout-api",
          "topic": "approval_wanted"
        }
    "#]],
    );
    check(
        &pretty(Told::Many(&summary())),
        &expect![[r#"
        {
          "first": "no-20",
          "last": "no-31",
          "n_notices": 12,
          "region": "eu-central-1",
          "severity": "ticket",
          "since": "2026-03-01T03:00:00Z",
          "title": "12 more notices, see `evenkeel incidents`"
        }
    "#]],
    );
}

#[test]
fn a_hostile_title_is_one_short_line_without_markup() {
    let notice = defused(hostile());
    let slack = notice_json(&notice, &region());
    let text = slack["text"].as_str().unwrap();
    check(
        text,
        &expect![[r#"
        [ticket] up Bcc: all@example.com &lt;!channel&gt; &lt;script&gt;alert(1)&lt;/script&gt; &amp; evil xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (eu-central-1)
    "#]],
    );
    for block in slack["blocks"].as_array().unwrap() {
        let shown = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str());
        let shown = shown.unwrap();
        assert!(!shown.contains('<') && !shown.contains('>'), "{shown}");
        assert!(shown.chars().count() <= 3_000, "{}", shown.chars().count());
    }
    // Nothing ends the fence but its end.
    let plan = slack["blocks"][2]["text"]["text"].as_str().unwrap();
    assert_eq!(plan.matches("```").count(), 2, "{plan}");
    let answers = slack["blocks"][3]["text"]["text"].as_str().unwrap();
    check(
        answers,
        &expect![[r#"
        *To answer*
        ```
        evenkeel deny run-4 rm -rf /
        ```
    "#]],
    );

    let body = webhook_body(Told::One(&notice), &region()).unwrap();
    assert!(!body.contains(['<', '>', '&', '\n', '\u{202e}', '\u{200b}']), "{body}");
    assert!(body.len() < 25_000, "{}", body.len());
    let mail = plain_text(&notice, &region());
    assert!(!mail.contains(['\r', '\u{202e}', '\u{0007}']), "{mail}");
    assert!(mail.starts_with("up Bcc: all@example.com <!channel>"), "{mail}");
}
