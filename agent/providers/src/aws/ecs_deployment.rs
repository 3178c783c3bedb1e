//! Task definitions of ECS services: what is deployed, and what was before.
//!
//! **In:** a service, and a revision such as `checkout:41`.
//! **Out:** the revision in force and the one before; another one deployed.
//! **Not here:** tasks (see [`super::ecs_tasks`]), what errors mean (see [`super::failure`]).

use aws_sdk_ecs::types::{SortOrder, TaskDefinitionStatus};
use evenkeel_core::action::Seen;

use super::ecs::{Place, unusable, what};
use super::ecs_tasks::{ServiceTasks, last_part};
use super::failure::{failure, request_id};
use crate::failure::{Failure, ReadError};
use crate::provider::{EffectReport, one_line};

/// Pages of revisions. Why 10: a thousand registrations since the one in force.
const PAGES_MAX: usize = 10;

/// A task definition: `FAMILY:NUMBER`, numbers grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revision {
    family: String,
    number: u32,
}

impl Revision {
    /// From `FAMILY:NUMBER` or an ARN that ends with it.
    fn parse(text: &str) -> Option<Revision> {
        let (family, number) = last_part(text).rsplit_once(':')?;
        let is_word = |it: char| it.is_ascii_alphanumeric() || "-_".contains(it);
        if family.is_empty() || !family.chars().all(is_word) {
            return None;
        }
        Some(Revision { family: family.to_owned(), number: number.parse().ok()? })
    }

    fn shown(&self) -> String {
        format!("{}:{}", self.family, self.number)
    }
}

impl ServiceTasks {
    /// The revision in force: that of the primary deployment.
    pub(super) async fn current(&self, place: Place<'_>) -> Result<Revision, ReadError> {
        let service = self.service(place).await?;
        let primary = service
            .deployments()
            .iter()
            .find(|it| it.status() == Some("PRIMARY"))
            .and_then(|it| it.task_definition())
            .ok_or_else(|| {
                let state = "has no primary deployment, so something other than ECS deploys it";
                unusable(place, state)
            })?;
        Revision::parse(primary).ok_or_else(|| {
            let shown = one_line(primary, 120);
            let reason = format!("task definition `{shown}` is not `FAMILY:NUMBER`");
            Failure::Silent(reason).to_read_error(&what(place))
        })
    }

    /// The revision in force, and the newest one before it that is active.
    pub(super) async fn revisions(&self, place: Place<'_>) -> Result<Seen, ReadError> {
        let current = self.current(place).await?;
        let previous = self
            .before(&current)
            .await
            .map_err(|failure| failure.to_read_error(&what(place)))?
            .map(|it| it.shown());
        Ok(Seen::Revision { current: current.shown(), previous })
    }

    async fn before(&self, current: &Revision) -> Result<Option<Revision>, Failure> {
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .reading
                .list_task_definitions()
                .family_prefix(&current.family)
                .status(TaskDefinitionStatus::Active)
                .sort(SortOrder::Desc)
                .max_results(100)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            let listed = page.task_definition_arns();
            let older = listed
                .iter()
                .filter_map(|it| Revision::parse(it))
                .filter(|it| it.family == current.family && it.number < current.number);
            // Newest first, so no later page has a newer one.
            if let Some(newest) = older.max_by_key(|it| it.number) {
                return Ok(Some(newest));
            }
            next = page.next_token;
            if next.as_deref().is_none_or(str::is_empty) {
                return Ok(None);
            }
        }
        Err(Failure::Refused(format!("more than {PAGES_MAX} pages of task definitions")))
    }

    /// Deploys another revision of the same family.
    pub(super) async fn deploy(
        &self,
        place: Place<'_>,
        current: &Revision,
        wanted: &str,
    ) -> Result<EffectReport, EffectReport> {
        let what = what(place);
        let Some(revision) = Revision::parse(wanted) else {
            return Err(EffectReport::rejected(&format!(
                "revision `{}` is not `FAMILY:NUMBER`, for example `{}`",
                one_line(wanted, 120),
                current.shown()
            )));
        };
        if revision.family != current.family {
            return Err(EffectReport::rejected(&format!(
                "{what} runs family `{}`; `{wanted}` is of another one, which a roll-back never is",
                current.family
            )));
        }
        let shown = revision.shown();
        if revision == *current {
            return Ok(EffectReport::done(&format!("{what} is at {shown} already")));
        }
        let answer = self
            .setting
            .update_service()
            .cluster(place.0)
            .service(place.1)
            .task_definition(&shown)
            .send()
            .await
            .map_err(|error| EffectReport::of_failure(&failure(&error)))?;
        let silent = |failure: &Failure| EffectReport::of_failure(failure);
        let id = request_id(&answer).map_err(|failure| silent(&failure))?;
        let confirmed = answer.service().and_then(|it| it.task_definition());
        if confirmed.and_then(Revision::parse) != Some(revision) {
            return Err(silent(&Failure::Silent(format!(
                "asked for {shown}, AWS confirms {} (request id {id})",
                confirmed.map_or_else(|| "nothing".to_owned(), |it| one_line(it, 120))
            ))));
        }
        Ok(EffectReport::done(&format!("{what} deploys {shown} (request id {id})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, expected: &Expect) {
        expected.assert_eq(&Revision::parse(text).map_or("none".to_owned(), |it| it.shown()));
    }

    #[test]
    fn a_revision_is_a_family_and_a_number() {
        check("checkout:41", &expect!["checkout:41"]);
        check(
            "arn:aws:ecs:eu-central-1:123456789012:task-definition/check-out_2:7",
            &expect!["check-out_2:7"],
        );
        check("checkout", &expect!["none"]);
        check("checkout:", &expect!["none"]);
        check(":41", &expect!["none"]);
        check("checkout:-1", &expect!["none"]);
        check("check out:41", &expect!["none"]);
        check("a:b:41", &expect!["none"]);
        check("", &expect!["none"]);
    }
}
