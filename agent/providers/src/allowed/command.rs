//! Running a command of the allow-list.
//!
//! **In:** what is allowed, and the arguments that a playbook asks for.
//! **Out:** done, rejected or unknown, with the first line that the command printed.
//! **Not here:** that it runs once ([`super::receipts`]), starting and stopping it
//! ([`super::process`]).
//!
//! Exit status 0 is done. Any other is rejected, with a receipt that says `failed`, although
//! the command may have changed something: it said itself that it did not do what it was
//! asked, and a run undoes the step that failed together with those before it. A
//! command that was killed, at its time limit or by anybody, is unknown: its receipt goes on
//! saying `begun`, its run is stuck, and a person looks. What a command leaves running
//! when it ends is its own.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use evenkeel_core::action::Receipt;
use evenkeel_core::ids::AllowedName;

use super::mask::first_line;
use super::process::{Ended, Job, Output, Stop, checked_program, run};
use super::receipts::{Kind, Receipts};
use super::settings::{AllowedCommand, ArgumentRule};
use crate::actuator::ActRequest;
use crate::provider::{EffectReport, one_line};

/// How much of a command's output is kept, in bytes; only the first line is shown. Why
/// 64 KiB: a line is at the start, and the rest is nobody's.
const OUTPUT_BYTES_MAX: usize = 64 * 1_024;

/// Longest name as an argument, in bytes. Why 200: file names end at 255.
const NAME_BYTES_MAX: usize = 200;

/// Runs `command` for `request`, once.
pub(super) async fn act(
    name: &AllowedName,
    command: &AllowedCommand,
    arguments: &[String],
    request: &ActRequest,
    receipts: &Receipts,
) -> EffectReport {
    if let Err(reason) = check_arguments(&command.arguments, arguments) {
        return EffectReport::rejected(&format!("command `{name}` was not run: {reason}"));
    }
    let program = match checked_program(&command.program) {
        Ok(program) => program,
        Err(reason) => {
            return EffectReport::rejected(&format!("command `{name}` was not run: {reason}"));
        }
    };
    let begun = match receipts.begin(Kind::Command, name, request).await {
        Ok(begun) => begun,
        Err(report) => return report,
    };
    let mut environment = super::environment::base();
    environment.extend(
        command.environment.iter().map(|(name, value)| (name.clone(), OsString::from(value))),
    );
    let timeout = Duration::try_from(command.timeout).unwrap_or_default();
    let ran = run(Job {
        program: &program,
        arguments: arguments.iter().map(OsString::from).collect(),
        environment,
        folder: command.folder.as_deref().unwrap_or(Path::new("/")),
        timeout,
        output_bytes_max: OUTPUT_BYTES_MAX,
        stop: Stop::Kill,
    })
    .await;
    let Output { ended, stdout, stderr } = match ran {
        Ok(output) => output,
        Err(error) => {
            receipts.end(begun, Receipt::Failed).await;
            return EffectReport::rejected(&format!("command `{name}` did not start: {error}"));
        }
    };
    match ended {
        Ended::Exited { code: 0 } => {
            let kept = receipts.end(begun, Receipt::Done).await;
            let rest = if kept { "" } else { " (its receipt could not be written)" };
            EffectReport::done(&said(&format!("command `{name}` ended well{rest}"), &stdout.bytes))
        }
        Ended::Exited { code } => {
            receipts.end(begun, Receipt::Failed).await;
            let output = if stderr.bytes.is_empty() { &stdout.bytes } else { &stderr.bytes };
            EffectReport::rejected(&said(&format!("exit status {code}"), output))
        }
        Ended::Killed => EffectReport::unknown(&format!(
            "command `{name}` was killed by a signal; how far it got is not known"
        )),
        Ended::TimedOut => EffectReport::unknown(&format!(
            "command `{name}` was killed after {} s; how far it got is not known",
            timeout.as_secs_f64()
        )),
    }
}

fn said(what: &str, output: &[u8]) -> String {
    let line = first_line(output);
    if line.is_empty() { what.to_owned() } else { format!("{what}: {line}") }
}

/// Whether `arguments` fit `rules` one by one.
pub(super) fn check_arguments(rules: &[ArgumentRule], arguments: &[String]) -> Result<(), String> {
    if rules.len() != arguments.len() {
        return Err(format!(
            "it takes {} arguments, the playbook gives {}",
            rules.len(),
            arguments.len()
        ));
    }
    for (at, (rule, argument)) in rules.iter().zip(arguments).enumerate() {
        if let Err(expected) = check_argument(rule, argument) {
            let shown = one_line(&format!("{argument:?}"), 80);
            return Err(format!("argument {at} is {shown}, which is not {expected}"));
        }
    }
    Ok(())
}

/// Fails with what was expected.
fn check_argument(rule: &ArgumentRule, argument: &str) -> Result<(), String> {
    let fits = match rule {
        ArgumentRule::Literal(text) => argument == text,
        ArgumentRule::AnyOf(those) => those.contains(argument),
        // Only as it is commonly written: `007` and `+7` mean other things to some.
        ArgumentRule::Number { min, max } => argument
            .parse::<i64>()
            .is_ok_and(|it| (*min..=*max).contains(&it) && it.to_string() == argument),
        ArgumentRule::Name => is_name(argument),
    };
    if fits {
        return Ok(());
    }
    Err(match rule {
        ArgumentRule::Literal(text) => format!("{text:?}"),
        ArgumentRule::AnyOf(those) => {
            let those: Vec<String> = those.iter().map(|it| format!("{it:?}")).collect();
            format!("any of {}", those.join(", "))
        }
        ArgumentRule::Number { min, max } => format!("a whole number from {min} to {max}"),
        ArgumentRule::Name => {
            "a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)"
                .to_owned()
        }
    })
}

fn is_name(text: &str) -> bool {
    let is_first = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let is_known = |it: char| it.is_ascii_alphanumeric() || "._:/@+-".contains(it) || it == '_';
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(is_first)
        && text.chars().all(is_known)
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;
    use std::fmt::Write;

    fn rules() -> Vec<ArgumentRule> {
        vec![
            ArgumentRule::Literal("restart".to_owned()),
            ArgumentRule::AnyOf(["web".to_owned(), "api".to_owned()].into()),
            ArgumentRule::Number { min: -1, max: 10 },
            ArgumentRule::Name,
        ]
    }

    #[test]
    fn arguments_fit_one_by_one_or_not_at_all() {
        let vectors: [&[&str]; 33] = [
            &["restart", "web", "3", "web-1.eu/a:b@c+d_e"],
            &["restart", "api", "-1", "_x"],
            &[],
            &["restart", "web", "3"],
            &["restart", "web", "3", "a", "b"],
            &["Restart", "web", "3", "a"],
            &["restart ", "web", "3", "a"],
            &["restart", "db", "3", "a"],
            &["restart", "", "3", "a"],
            &["restart", "web", "11", "a"],
            &["restart", "web", "-2", "a"],
            &["restart", "web", "03", "a"],
            &["restart", "web", "+3", "a"],
            &["restart", "web", "3.0", "a"],
            &["restart", "web", "3 ", "a"],
            &["restart", "web", "99999999999999999999", "a"],
            &["restart", "web", "", "a"],
            &["restart", "web", "3", ""],
            &["restart", "web", "3", "; rm -rf /"],
            &["restart", "web", "3", "$(id)"],
            &["restart", "web", "3", "`id`"],
            &["restart", "web", "3", "${HOME}"],
            &["restart", "web", "3", "--help"],
            &["restart", "web", "3", "-rf"],
            &["restart", "web", "3", "a\nb"],
            &["restart", "web", "3", "a\0b"],
            &["restart", "web", "3", "a b"],
            &["restart", "web", "3", "../../etc/passwd"],
            &["restart", "web", "3", "a/../../b"],
            &["restart", "web", "3", "/etc/passwd"],
            &["restart", "web", "3", "@/etc/passwd"],
            &["restart", "web", "3", "http://evil.example"],
            &["restart", "web", "3", "wéb"],
        ];
        let mut table = String::new();
        for vector in vectors {
            let arguments: Vec<String> = vector.iter().map(|it| (*it).to_owned()).collect();
            let verdict = check_arguments(&rules(), &arguments);
            writeln!(table, "{}", verdict.map_or_else(|it| it, |()| "fits".to_owned())).unwrap();
        }
        expect![[r#"
            fits
            fits
            it takes 4 arguments, the playbook gives 0
            it takes 4 arguments, the playbook gives 3
            it takes 4 arguments, the playbook gives 5
            argument 0 is "Restart", which is not "restart"
            argument 0 is "restart ", which is not "restart"
            argument 1 is "db", which is not any of "api", "web"
            argument 1 is "", which is not any of "api", "web"
            argument 2 is "11", which is not a whole number from -1 to 10
            argument 2 is "-2", which is not a whole number from -1 to 10
            argument 2 is "03", which is not a whole number from -1 to 10
            argument 2 is "+3", which is not a whole number from -1 to 10
            argument 2 is "3.0", which is not a whole number from -1 to 10
            argument 2 is "3 ", which is not a whole number from -1 to 10
            argument 2 is "99999999999999999999", which is not a whole number from -1 to 10
            argument 2 is "", which is not a whole number from -1 to 10
            argument 3 is "", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "; rm -rf /", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "$(id)", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "`id`", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "${HOME}", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "--help", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "-rf", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "a\nb", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "a\0b", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "a b", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "../../etc/passwd", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "a/../../b", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "/etc/passwd", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "@/etc/passwd", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "http://evil.example", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
            argument 3 is "wéb", which is not a name (letters, digits and `._:/@+-`, not an option, not a path that leads elsewhere)
        "#]].assert_eq(&table);
    }

    proptest! {
        #[test]
        fn a_name_is_never_an_option_a_way_out_or_more_than_one_word(text in "(?s).{0,20}|[a./-]{0,8}") {
            if is_name(&text) {
                prop_assert!(!text.starts_with(['-', '/', '@', '+', '.']));
                prop_assert!(!text.contains(char::is_whitespace));
                prop_assert!(!text.contains(['$', '`', ';', '|', '&', '<', '\'', '"', '\\', '*', '~']));
                let below = std::path::Path::new("/folder").join(&text);
                prop_assert!(below.components().all(|it| it != std::path::Component::ParentDir));
                prop_assert!(below.starts_with("/folder"));
            }
        }
    }
}
