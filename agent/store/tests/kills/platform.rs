//! A platform whose whole world is one file: what was done to it, line by line.
//!
//! **In:** effects; the file that earlier lives of the agent left.
//! **Out:** durable lines; what there is, which follows from them.
//! **Not here:** whether anything should have been done ([`crate::judge`]).
//!
//! One line is one write, and there is no other state: so an effect and its receipt happen
//! together or not at all, whenever the agent dies. That is what the executors promise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use evenkeel_core::action::{Action, InstanceSeen, LookAt, Receipt, Seen};
use evenkeel_core::effect::Look;
use evenkeel_core::ids::{EffectId, RunId, TargetId, TenantName};
use evenkeel_core::units::Capacity;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::stories::{Plant, Story, Turn};

/// Something that was done, or began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deed {
    pub(crate) effect: EffectId,
    pub(crate) run: RunId,
    pub(crate) step: u16,
    pub(crate) is_undo: bool,
    pub(crate) target: TargetId,
    pub(crate) action: Action,
    pub(crate) at: Timestamp,
    /// Only the receipt of its beginning.
    pub(crate) has_only_begun: bool,
}

impl Deed {
    pub(crate) fn turn(&self) -> Turn {
        Turn { step: self.step, is_undo: self.is_undo }
    }
}

/// What there is on every target.
#[derive(Clone, Debug)]
struct World {
    capacity: BTreeMap<TargetId, Capacity>,
    instances: Vec<InstanceSeen>,
    revision: (String, Option<String>),
    limits: BTreeMap<TenantName, u32>,
    receipts: BTreeMap<EffectId, Receipt>,
    done: BTreeSet<Turn>,
    /// Whether a new instance gets the name of the one it replaces, as in a stateful set.
    reuses_names: bool,
}

/// The file and what follows from it.
pub(crate) struct Platform {
    file: File,
    world: World,
    in_the_beginning: World,
    looks_at_the_beginning: bool,
}

/// When the stories begin.
pub(crate) fn start() -> Timestamp {
    "2026-03-02T06:00:00Z".parse().expect("valid")
}

/// The lines in the file below `folder`. A line that was cut off by a kill did not happen.
pub(crate) fn deeds(folder: &Path) -> Vec<Deed> {
    let text = std::fs::read_to_string(folder.join("deeds")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).expect("a deed")).collect()
}

impl Platform {
    pub(crate) fn open(folder: &Path, story: Story) -> Platform {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(folder.join("deeds"))
            .expect("opened");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        let whole = text.rfind('\n').map_or(0, |it| it + 1);
        let whole = u64::try_from(whole).expect("short");
        file.set_len(whole).expect("cut");
        file.seek(std::io::SeekFrom::Start(whole)).expect("at the end");
        let in_the_beginning = World::new(story);
        let mut world = in_the_beginning.clone();
        for deed in deeds(folder) {
            world.apply(&deed);
        }
        let looks_at_the_beginning = story.plant == Some(Plant::LooksAtTheBeginning);
        Platform { file, world, in_the_beginning, looks_at_the_beginning }
    }

    /// Does it; durable when it returns.
    pub(crate) fn perform(&mut self, deed: &Deed) {
        let mut line = serde_json::to_vec(deed).expect("JSON");
        line.push(b'\n');
        self.file.write_all(&line).expect("written");
        self.file.sync_data().expect("synced");
        self.world.apply(deed);
    }

    /// Whether a step was done, on the way there.
    pub(crate) fn has_done(&self, step: u16) -> bool {
        self.world.done.contains(&Turn { step, is_undo: false })
    }

    pub(crate) fn capacity(&self, target: &TargetId) -> Capacity {
        self.world.capacity.get(target).copied().unwrap_or(Capacity(10))
    }

    pub(crate) fn look(&self, look: &Look) -> Seen {
        let world = if self.looks_at_the_beginning { &self.in_the_beginning } else { &self.world };
        match &look.at {
            LookAt::Capacity => Seen::Capacity { current: self.capacity(&look.target) },
            LookAt::Instances | LookAt::Traffic => {
                Seen::Instances { instances: world.instances.clone() }
            }
            LookAt::Revision => {
                let (current, previous) = world.revision.clone();
                Seen::Revision { current, previous }
            }
            LookAt::TenantLimits => Seen::TenantLimits { limits: world.limits.clone() },
            LookAt::Command { .. } | LookAt::Webhook { .. } => {
                Seen::Receipts { receipts: world.receipts.clone() }
            }
            LookAt::Terraform { .. } => Seen::TerraformPlan {
                plan_sha256: "11".repeat(32),
                changes: vec!["update terraform_data.size: 2 -> 3".to_owned()],
                receipts: world.receipts.clone(),
            },
        }
    }
}

impl World {
    /// Ten instances; the fifth is sick.
    fn new(story: Story) -> World {
        let instances = (0..10).map(|number| InstanceSeen {
            name: format!("web/{number}").parse().expect("a name"),
            zone: Some(format!("z{}", number % 3)),
            is_ready: number != 4,
            is_drained: false,
            weight: Some(100),
            started_at: Some(start() - SignedDuration::from_hours(24)),
        });
        World {
            capacity: BTreeMap::new(),
            instances: instances.collect(),
            revision: ("r2".to_owned(), Some("r1".to_owned())),
            limits: BTreeMap::new(),
            receipts: BTreeMap::new(),
            done: BTreeSet::new(),
            // Only there is something left to replace back.
            reuses_names: story.is_undone,
        }
    }

    fn apply(&mut self, deed: &Deed) {
        if deed.has_only_begun {
            self.receipts.insert(deed.effect, Receipt::Begun);
            return;
        }
        self.done.insert(deed.turn());
        match &deed.action {
            Action::SetCapacity { desired } => {
                self.capacity.insert(deed.target.clone(), *desired);
            }
            Action::RestartInstances { instances: named } => {
                for it in self.instances.iter_mut().filter(|it| named.contains(&it.name)) {
                    it.started_at = Some(deed.at);
                }
            }
            Action::ReplaceInstances { instances: named } => {
                for it in self.instances.iter_mut().filter(|it| named.contains(&it.name)) {
                    it.started_at = Some(deed.at);
                    if !self.reuses_names {
                        it.name = format!("{}-new", it.name).parse().expect("a name");
                    }
                }
            }
            Action::SetWeights { weights } => {
                for it in &mut self.instances {
                    it.weight = weights.get(&it.name).copied().or(it.weight);
                }
            }
            Action::SetDrained { instances: named, is_drained } => {
                for it in self.instances.iter_mut().filter(|it| named.contains(&it.name)) {
                    it.is_drained = *is_drained;
                }
            }
            Action::SetRevision { revision } => {
                let before = std::mem::replace(&mut self.revision.0, revision.clone());
                self.revision.1 = Some(before);
            }
            Action::LimitTenants { limits } => {
                for (tenant, limit) in limits {
                    match limit {
                        Some(limit) => self.limits.insert(tenant.clone(), *limit),
                        None => self.limits.remove(tenant),
                    };
                }
            }
            Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => {
                self.receipts.insert(deed.effect, Receipt::Done);
            }
        }
    }
}
