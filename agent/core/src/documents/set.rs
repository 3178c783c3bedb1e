//! All documents that passed every check, ready to be looked things up in.
//!
//! **In:** checked documents, from [`super::load`] or built by a test.
//! **Out:** a target's policy and guardrails in constant time.
//! **Not here:** checks that span documents (the loader makes them before).

use std::collections::BTreeMap;

use crate::documents::{
    Access, BlastRadius, Budget, Calendar, Guardrail, Playbook, PriceBook, ScalingPolicy, Slo,
    Target, Tenants,
};
use crate::ids::{
    BudgetId, CalendarId, GuardrailId, PlaybookId, PolicyId, Region, ServiceName, SloId, TargetId,
};

/// A complete, consistent set of documents.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Hex SHA-256 over the texts, for records and for "did it change?".
    pub sha256: String,
    targets: BTreeMap<TargetId, Target>,
    policies: BTreeMap<PolicyId, ScalingPolicy>,
    guardrails: BTreeMap<GuardrailId, Guardrail>,
    calendars: BTreeMap<CalendarId, Calendar>,
    playbooks: BTreeMap<PlaybookId, Playbook>,
    economy: Economy,
    access: Access,
    policy_of: BTreeMap<TargetId, PolicyId>,
    guardrails_of: BTreeMap<TargetId, Vec<GuardrailId>>,
    slos_of: BTreeMap<ServiceName, Vec<SloId>>,
}

/// SLOs, budgets, prices and tenants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Economy {
    /// By name.
    pub slos: BTreeMap<SloId, Slo>,
    /// By name.
    pub budgets: BTreeMap<BudgetId, Budget>,
    /// What things cost; without one, what targets say.
    pub price_book: Option<PriceBook>,
    /// Who shares the services.
    pub tenants: Option<Tenants>,
    /// How many documents these are, with those that others refer to.
    pub n_documents: usize,
}

impl Documents {
    /// Puts checked documents together. Where two policies select one target
    /// (the loader refuses that), the first by name has it.
    pub fn new(
        sha256: String,
        targets: impl IntoIterator<Item = Target>,
        policies: impl IntoIterator<Item = ScalingPolicy>,
        guardrails: impl IntoIterator<Item = Guardrail>,
        calendars: impl IntoIterator<Item = Calendar>,
        access: Access,
    ) -> Documents {
        let targets: BTreeMap<TargetId, Target> =
            targets.into_iter().map(|it| (it.id.clone(), it)).collect();
        let policies: BTreeMap<PolicyId, ScalingPolicy> =
            policies.into_iter().map(|it| (it.id.clone(), it)).collect();
        let guardrails: BTreeMap<GuardrailId, Guardrail> =
            guardrails.into_iter().map(|it| (it.id.clone(), it)).collect();
        let calendars: BTreeMap<CalendarId, Calendar> =
            calendars.into_iter().map(|it| (it.id.clone(), it)).collect();
        let mut policy_of = BTreeMap::new();
        let mut guardrails_of = BTreeMap::new();
        for target in targets.values() {
            if let Some(policy) = policies.values().find(|it| it.selector.selects(target)) {
                policy_of.insert(target.id.clone(), policy.id.clone());
            }
            let selecting = guardrails.values().filter(|it| it.selector.selects(target));
            guardrails_of.insert(target.id.clone(), selecting.map(|it| it.id.clone()).collect());
        }
        Documents {
            sha256,
            targets,
            policies,
            guardrails,
            calendars,
            playbooks: BTreeMap::new(),
            economy: Economy::default(),
            access,
            policy_of,
            guardrails_of,
            slos_of: BTreeMap::new(),
        }
    }

    /// The same documents with these playbooks.
    #[must_use]
    pub fn with_playbooks(self, playbooks: impl IntoIterator<Item = Playbook>) -> Documents {
        let playbooks = playbooks.into_iter().map(|it| (it.id.clone(), it)).collect();
        Documents { playbooks, ..self }
    }

    /// The same documents with these SLOs, budgets, prices and tenants.
    #[must_use]
    pub fn with_economy(self, economy: Economy) -> Documents {
        let mut slos_of: BTreeMap<ServiceName, Vec<SloId>> = BTreeMap::new();
        for slo in economy.slos.values() {
            slos_of.entry(slo.service.clone()).or_default().push(slo.id.clone());
        }
        Documents { economy, slos_of, ..self }
    }

    /// The same documents with only the targets of `region`: one daemon serves
    /// one region, and one effect touches one region.
    #[must_use]
    pub fn of_region(self, region: &Region) -> Documents {
        let Documents {
            sha256,
            targets,
            policies,
            guardrails,
            calendars,
            playbooks,
            economy,
            access,
            ..
        } = self;
        let targets = targets.into_values().filter(|it| it.region == *region);
        Documents::new(
            sha256,
            targets,
            policies.into_values(),
            guardrails.into_values(),
            calendars.into_values(),
            access,
        )
        .with_playbooks(playbooks.into_values())
        .with_economy(economy)
    }

    /// Every target, by name.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.targets.values()
    }

    /// One target.
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.targets.get(id)
    }

    /// Every policy, by name.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &ScalingPolicy> {
        self.policies.values()
    }

    /// The policy of one target; `None` when no policy selects it.
    pub fn policy_of(&self, id: &TargetId) -> Option<&ScalingPolicy> {
        self.policies.get(self.policy_of.get(id)?)
    }

    /// The targets that `policy` is for, by name.
    pub fn targets_of<'a>(&'a self, policy: &'a PolicyId) -> impl Iterator<Item = &'a Target> {
        self.policy_of
            .iter()
            .filter(move |(_, it)| *it == policy)
            .filter_map(|(target, _)| self.targets.get(target))
    }

    /// Every guardrail, by name.
    pub fn guardrails(&self) -> impl ExactSizeIterator<Item = &Guardrail> {
        self.guardrails.values()
    }

    /// One guardrail.
    pub fn guardrail(&self, id: &GuardrailId) -> Option<&Guardrail> {
        self.guardrails.get(id)
    }

    /// The guardrails that select one target, by name.
    pub fn guardrails_of<'a>(&'a self, id: &TargetId) -> impl Iterator<Item = &'a Guardrail> {
        let ids = self.guardrails_of.get(id).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|it| self.guardrails.get(it))
    }

    /// Whether [`BlastRadius::BUILT_IN`] is what bounds removals from `id`.
    pub fn has_built_in_blast_radius(&self, id: &TargetId) -> bool {
        self.guardrails_of(id).all(|it| it.blast_radius.is_none())
    }

    /// Every calendar, by name.
    pub fn calendars(&self) -> impl ExactSizeIterator<Item = &Calendar> {
        self.calendars.values()
    }

    /// One calendar.
    pub fn calendar(&self, id: &CalendarId) -> Option<&Calendar> {
        self.calendars.get(id)
    }

    /// Every playbook, by name.
    pub fn playbooks(&self) -> impl ExactSizeIterator<Item = &Playbook> {
        self.playbooks.values()
    }

    /// One playbook.
    pub fn playbook(&self, id: &PlaybookId) -> Option<&Playbook> {
        self.playbooks.get(id)
    }

    /// The targets that `playbook` is for, by name.
    pub fn targets_of_playbook<'a>(
        &'a self,
        playbook: &'a Playbook,
    ) -> impl Iterator<Item = &'a Target> {
        self.targets.values().filter(|it| playbook.selector.selects(it))
    }

    /// SLOs, budgets, prices and tenants.
    pub fn economy(&self) -> &Economy {
        &self.economy
    }

    /// Every SLO, by name.
    pub fn slos(&self) -> impl ExactSizeIterator<Item = &Slo> {
        self.economy.slos.values()
    }

    /// One SLO.
    pub fn slo(&self, id: &SloId) -> Option<&Slo> {
        self.economy.slos.get(id)
    }

    /// The SLOs of a service, by name.
    pub fn slos_of<'a>(&'a self, service: &ServiceName) -> impl Iterator<Item = &'a Slo> {
        let ids = self.slos_of.get(service).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|it| self.economy.slos.get(it))
    }

    /// Every budget, by name.
    pub fn budgets(&self) -> impl ExactSizeIterator<Item = &Budget> {
        self.economy.budgets.values()
    }

    /// One budget.
    pub fn budget(&self, id: &BudgetId) -> Option<&Budget> {
        self.economy.budgets.get(id)
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The longest window over which any blast radius counts removals.
    pub fn blast_window_max(&self) -> jiff::SignedDuration {
        self.guardrails
            .values()
            .filter_map(|it| it.blast_radius)
            .map(|it| it.window)
            .fold(BlastRadius::BUILT_IN.window, std::cmp::Ord::max)
    }

    /// How many documents there are, but for `Access`, which is one in force.
    pub fn n_documents(&self) -> usize {
        self.targets.len()
            + self.policies.len()
            + self.guardrails.len()
            + self.calendars.len()
            + self.playbooks.len()
            + self.economy.n_documents
    }
}
