//! From the texts of files to a complete set of documents.
//!
//! **In:** [`SourceText`]s.
//! **Out:** [`Documents`] when nothing is wrong, and every [`Diagnostic`].
//! **Not here:** reading files (the shell's), the form of fields ([`super::raw`]).

mod across;
mod budgets;
mod forecasts;
mod gates;
mod openslo;
mod people;
mod playbooks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::diagnostic::Diagnostic;
use super::fault::Faults;
use super::positions::{self, At, Chunk, Node, Position};
use super::raw::access::RawAccess;
use super::raw::budget::{BudgetPlaces, RawBudget};
use super::raw::calendar::RawCalendar;
use super::raw::envelope::{self, Envelope, Kind, RawMetadata};
use super::raw::forecast::ForecastPlaces;
use super::raw::guardrail::RawGuardrail;
use super::raw::openslo::is_openslo;
use super::raw::playbook::{PlaybookPlaces, RawPlaybook, secret};
use super::raw::policy::RawPolicy;
use super::raw::price_book::{PriceBookPlaces, RawPriceBook};
use super::raw::target::RawTarget;
use super::raw::tenants::RawTenants;
use super::raw::{Place, Read};
use super::{
    Budget, Calendar, Documents, Guardrail, Playbook, PriceBook, ScalingPolicy, Selector, Slo,
    Target, Tenants,
};
use crate::ids::{Actor, BudgetId, CalendarId, GuardrailId, PlaybookId, PolicyId, TargetId};

/// Largest file. Why 4 MiB: 10,000 targets in one file are about 3 MB.
const FILE_BYTES_MAX: usize = 4 << 20;
/// Largest set. Why 32 MiB: ten times what 10,000 targets need.
const SET_BYTES_MAX: usize = 32 << 20;
/// Most documents of one set. Why 20,000: all that the limits below allow
/// together, with room for `Access`.
const DOCUMENTS_MAX: usize = 20_000;

/// Most documents of one kind. Why: 10,000 targets are what one daemon is
/// designed for; the others are what it can check against each of them, and
/// calendars are shared. Each playbook is some queries per period.
fn kind_max(kind: Kind) -> usize {
    match kind {
        Kind::Target => 10_000,
        Kind::ScalingPolicy | Kind::Guardrail | Kind::Access | Kind::Budget => 1_000,
        // One is in force; a second one has a message of its own.
        Kind::Calendar | Kind::PriceBook | Kind::Tenants => 100,
        Kind::Playbook => 200,
    }
}

/// The text of one file.
#[derive(Clone, Copy, Debug)]
pub struct SourceText<'a> {
    /// The file as diagnostics shall name it.
    pub file: &'a str,
    /// All of it.
    pub text: &'a str,
}

/// What came of reading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The documents; `None` when there is any error. Warnings do not count.
    pub documents: Option<Documents>,
    /// How many documents the files have, good or bad.
    pub n_documents: usize,
    /// What is wrong, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// A checked document and where it came from.
struct Placed<T> {
    source: usize,
    name_at: Position,
    selector_at: Position,
    value: T,
}

/// Checked documents before they are looked at together.
#[derive(Default)]
struct Drafts {
    targets: Vec<Placed<Target>>,
    policies: Vec<Placed<ScalingPolicy>>,
    guardrails: Vec<Placed<Guardrail>>,
    accesses: Vec<Placed<RawAccess>>,
    calendars: Vec<Placed<Calendar>>,
    playbooks: Vec<Placed<Playbook>>,
    /// For each of `playbooks`, where its parts are.
    playbook_places: Vec<PlaybookPlaces>,
    budgets: Vec<Placed<(Budget, BudgetPlaces)>>,
    price_books: Vec<Placed<(PriceBook, PriceBookPlaces)>>,
    tenants: Vec<Placed<Tenants>>,
    /// Which target calls which, each with its file and place.
    dependencies: Vec<(usize, TargetId, At<TargetId>)>,
    /// For each of `policies`, where its `forecast` is.
    forecasts: Vec<Option<ForecastPlaces>>,
    /// Documents of OpenSLO before their references are resolved.
    openslo: openslo::OpenSlo,
    /// The SLOs of `openslo` in which everything is good.
    slos: Vec<Placed<Slo>>,
    /// The selectors of grants, each with its file and place.
    granted: Vec<(usize, Position, Selector)>,
    /// The people of each group.
    groups: BTreeMap<Actor, BTreeSet<Actor>>,
    counts: [usize; Kind::ALL.len()],
    n_documents: usize,
}

/// Reads and checks all documents of all files together.
///
/// Finds every fault, not only the first: a fault in one field hides none in
/// its neighbours, and one in a document hides none in the next. What spans
/// documents is checked with those that could be read.
pub fn load(sources: &[SourceText<'_>]) -> Loaded {
    let mut faults = Faults::default();
    let mut drafts = Drafts::default();
    let files = chunks(sources, &mut faults);
    drafts.n_documents = files.iter().map(Vec::len).sum();
    if drafts.n_documents <= DOCUMENTS_MAX {
        for (index, chunks) in files.iter().enumerate() {
            faults.source = index;
            for chunk in chunks {
                read_chunk(chunk, &mut drafts, &mut faults);
            }
        }
    }
    let all_read = !faults.has_errors();
    let n_documents = drafts.n_documents;
    let has_access = drafts.counts.get(Kind::Access as usize).is_some_and(|it| 0 < *it);
    let access = people::resolve(&mut drafts, sources, all_read, &mut faults);
    openslo::resolve(&mut drafts, sources, all_read, &mut faults);
    // An SLO with a dangling reference is not among those that budgets may be of.
    let all_resolved = !faults.has_errors();
    across::check(&mut drafts, sources, all_read, &mut faults);
    let slos = drafts.slos.iter().map(|it| &it.value);
    budgets::check(&drafts, slos, sources, all_resolved, &mut faults);
    gates::check(&mut drafts, has_access.then_some(&access), all_read, &mut faults);
    let documents = (!faults.has_errors()).then(|| {
        let mut economy = budgets::economy(&mut drafts);
        let Drafts { targets, policies, guardrails, calendars, playbooks, slos, .. } = drafts;
        economy.slos = slos.into_iter().map(|it| (it.value.id.clone(), it.value)).collect();
        economy.n_documents += drafts.openslo.n_documents();
        Documents::new(
            sha256_of(sources),
            targets.into_iter().map(|it| it.value),
            policies.into_iter().map(|it| it.value),
            guardrails.into_iter().map(|it| it.value),
            calendars.into_iter().map(|it| it.value),
            access,
        )
        .with_playbooks(playbooks.into_iter().map(|it| it.value))
        .with_economy(economy)
    });
    Loaded { documents, n_documents, diagnostics: faults.into_diagnostics(sources) }
}

/// Lengths go in too, so that moving text from one file to the next shows.
fn sha256_of(sources: &[SourceText<'_>]) -> String {
    let mut hasher = Sha256::new();
    for source in sources {
        hasher.update(source.text.len().to_string());
        hasher.update(":");
        hasher.update(source.text);
    }
    hex(hasher)
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The documents of each file, and faults where there is too much to read.
fn chunks<'a>(sources: &[SourceText<'a>], faults: &mut Faults) -> Vec<Vec<Chunk<'a>>> {
    let mut files = Vec::with_capacity(sources.len());
    let (mut n_documents, mut n_bytes) = (0, 0);
    for (index, source) in sources.iter().enumerate() {
        faults.source = index;
        if FILE_BYTES_MAX < source.text.len() {
            let bytes = source.text.len();
            let message = format!("the file has {bytes} bytes, at most {FILE_BYTES_MAX} are read");
            faults.error(Position::START, message, "split it into several files");
            files.push(Vec::new());
            continue;
        }
        n_bytes += source.text.len();
        if SET_BYTES_MAX < n_bytes {
            let message = format!("the files together have more than {SET_BYTES_MAX} bytes");
            faults.error(Position::START, message, "give this daemon fewer");
            break;
        }
        let chunks: Vec<Chunk<'_>> = positions::split(source.text).collect();
        let room = DOCUMENTS_MAX.checked_sub(n_documents);
        if let Some(first_too_many) = room.and_then(|it| chunks.get(it)) {
            let message = format!("there are more than {DOCUMENTS_MAX} documents, none is read");
            let hint = "give this daemon fewer, for example only those of its region";
            faults.error(first_too_many.start(), message, hint);
        }
        n_documents += chunks.len();
        files.push(chunks);
    }
    files
}

fn read_chunk(chunk: &Chunk<'_>, drafts: &mut Drafts, faults: &mut Faults) {
    let (root, fault) = chunk.parse();
    if let Some(fault) = fault {
        // Wherever the parser stopped: keys of a source of metrics may stand there.
        let may_have_secrets = chunk.text.contains("connectionDetails");
        faults.push(if may_have_secrets { fault.without_line() } else { fault });
    }
    if let Some(root) = root {
        read_document(chunk, &root, drafts, faults);
        faults.about.clear();
    }
}

fn read_document(chunk: &Chunk<'_>, root: &Node, drafts: &mut Drafts, faults: &mut Faults) {
    if is_openslo(root) {
        return drafts.openslo.read(root, faults);
    }
    let Some(Envelope { kind, metadata, spec }) = envelope::read(root, faults) else { return };
    if let Some(count) = drafts.counts.get_mut(kind as usize) {
        *count += 1;
        let max = kind_max(kind);
        if max < *count {
            if *count == max + 1 {
                let message =
                    format!("there are more than {max} documents of kind `{}`", kind.name());
                faults.error(root.at, message, "give this daemon fewer");
            }
            return;
        }
    }
    let Some(spec) = spec else { return };
    let draft = Draft { metadata, source: faults.source };
    let place = Place::ROOT.field("spec");
    match kind {
        Kind::Target => {
            let raw = RawTarget::read(spec, &place, faults);
            let labels = draft.metadata.as_ref().map(|it| it.labels.value.0.clone());
            let called = raw.as_ref().map(RawTarget::dependencies).unwrap_or_default();
            let target = draft.place(raw, None, |raw, name| {
                let id = TargetId::new(name).ok()?;
                Some(raw.checked(id, labels.unwrap_or_default()))
            });
            if let Some(target) = target {
                let (source, id) = (target.source, &target.value.id);
                let called = called.into_iter().map(|it| (source, id.clone(), it));
                drafts.dependencies.extend(called);
                drafts.targets.push(target);
            }
        }
        Kind::ScalingPolicy => {
            let raw = RawPolicy::read(spec, &place, faults);
            let selector_at = raw.as_ref().map(|it| it.selector.at);
            let forecast = raw.as_ref().and_then(|it| it.forecast.as_ref());
            let forecast = forecast.map(|it| it.value.places());
            let policy = draft.place(raw, selector_at, |raw, name| {
                raw.checked(PolicyId::new(name).ok()?, faults)
            });
            if let Some(policy) = policy {
                drafts.policies.push(policy);
                drafts.forecasts.push(forecast);
            }
        }
        Kind::Guardrail => {
            let raw = RawGuardrail::read(spec, &place, faults);
            let selector_at = raw.as_ref().map(|it| it.selector.at);
            let guardrail = draft.place(raw, selector_at, |raw, name| {
                raw.checked(GuardrailId::new(name).ok()?, faults)
            });
            drafts.guardrails.extend(guardrail);
        }
        Kind::Access => {
            let raw = RawAccess::read(spec, &place, faults);
            drafts.accesses.extend(draft.place(raw, None, |raw, _| Some(raw)));
        }
        Kind::Calendar => {
            let raw = RawCalendar::read(spec, &place, faults);
            let calendar = draft
                .place(raw, None, |raw, name| raw.checked(CalendarId::new(name).ok()?, faults));
            drafts.calendars.extend(calendar);
        }
        Kind::Playbook => {
            // Before anything of it is read, so that nothing of it is shown.
            if secret::reported(spec, &place, faults) {
                return;
            }
            let raw = RawPlaybook::read(spec, &place, faults);
            let selector_at = raw.as_ref().map(|it| it.selector.at);
            let sha256 = hex(Sha256::new_with_prefix(chunk.text));
            let playbook = draft.place(raw, selector_at, |raw, name| {
                raw.checked(PlaybookId::new(name).ok()?, sha256, faults)
            });
            if let Some(Placed { source, name_at, selector_at, value }) = playbook {
                let (value, places) = value;
                drafts.playbooks.push(Placed { source, name_at, selector_at, value });
                drafts.playbook_places.push(places);
            }
        }
        Kind::Budget => {
            let raw = RawBudget::read(spec, &place, faults);
            let budget = draft.place(raw, None, |raw, name| {
                raw.checked(BudgetId::new(name).ok()?, spec.at, faults)
            });
            drafts.budgets.extend(budget);
        }
        Kind::PriceBook => {
            let raw = RawPriceBook::read(spec, &place, faults);
            drafts.price_books.extend(draft.place(raw, None, |raw, _| raw.checked(faults)));
        }
        Kind::Tenants => {
            let raw = RawTenants::read(spec, &place, faults);
            drafts.tenants.extend(draft.place(raw, None, |raw, _| raw.checked(faults)));
        }
    }
}

struct Draft {
    metadata: Option<RawMetadata>,
    source: usize,
}

impl Draft {
    /// Checks the fields even where the name is faulty; keeps only what has one.
    fn place<R, T>(
        &self,
        raw: Option<R>,
        selector_at: Option<Position>,
        check: impl FnOnce(R, &str) -> Option<T>,
    ) -> Option<Placed<T>> {
        let name = self.metadata.as_ref().map(RawMetadata::name);
        let At { value: name, at: name_at } =
            name.unwrap_or(At { value: "without-a-name", at: Position::START });
        let value = check(raw?, name)?;
        self.metadata.as_ref()?;
        let selector_at = selector_at.unwrap_or(name_at);
        Some(Placed { source: self.source, name_at, selector_at, value })
    }
}
