//! What happened: `/v1/history`, `/v1/audit/verify`, `/v1/audit/export`.
//!
//! **In:** filters of people who may read.
//! **Out:** records as they are stored, in bounded pieces.
//! **Not here:** the journal's form and proof (`evenkeel-store`).
//!
//! The journal is opened for each request: SQLite lets any number read beside
//! the one writer, and nothing has to be shared with the loop.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use evenkeel_core::api::{ErrorAnswer, ExplainAnswer, HistoryAnswer, HistoryRecord};
use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::ids::TargetId;
use evenkeel_core::record::Record;
use evenkeel_store::{Filter, KeySource, Reader, StoreError, StoredRecord, Verification, to_hex};
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::admission::Shared;
use super::answer::{Failed, chain};
use super::body::{Nothing, Params};
use super::limits::{
    EXPORT_PIECE_RECORDS, HISTORY_BYTES_MAX, HISTORY_RECORDS_DEFAULT, HISTORY_RECORDS_MAX,
};

/// Query parameters of `GET /v1/history`. All conditions must hold.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParams {
    /// Only records about this target.
    #[param(value_type = Option<String>)]
    target: Option<TargetId>,
    /// Only records of this kind, for example `effect_planned`.
    kind: Option<String>,
    /// Only records at or after this time, as RFC 3339.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Only records before this time, as RFC 3339.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// Most records to answer with: 50 by default, at most 1,000.
    limit: Option<usize>,
    /// Only records before this one, to go on from an earlier answer.
    before_seq: Option<u64>,
}

/// Records, newest first.
///
/// Fewer than asked for may come when they are large; the next page starts
/// before the last one that came. Of snapshots only the size is shown; the
/// export has all of them.
#[utoipa::path(
    get, path = "/v1/history", operation_id = "history", params(HistoryParams),
    responses(
        (status = 200, description = "The newest records that match", body = HistoryAnswer),
        (status = 400, description = "A parameter is not what it must be", body = ErrorAnswer),
    ),
)]
pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<HistoryParams>,
) -> Result<Json<HistoryAnswer>, Failed> {
    let HistoryParams { target, kind, from, to, limit, before_seq } = params;
    let limit = limit.unwrap_or(HISTORY_RECORDS_DEFAULT);
    if HISTORY_RECORDS_MAX < limit {
        let error = format!("limit {limit} is above {HISTORY_RECORDS_MAX}");
        let hint = "take the next page with `before_seq`, or use `evenkeel audit export`";
        return Err(Failed::new(StatusCode::BAD_REQUEST, error, hint));
    }
    let filter = Filter {
        target_id: target.map(String::from),
        kind,
        from,
        to,
        before_seq,
        newest_first: true,
        limit,
        ..Filter::default()
    };
    let records = read(&shared, move |reader| page(reader, filter)).await?;
    Ok(Json(HistoryAnswer { records }))
}

/// Reads in small steps, so that a few large records end the page early.
fn page(reader: &Reader, filter: Filter) -> Result<Vec<HistoryRecord>, StoreError> {
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut before_seq = filter.before_seq;
    while records.len() < filter.limit && bytes < HISTORY_BYTES_MAX {
        let step = Filter {
            before_seq,
            limit: EXPORT_PIECE_RECORDS.min(filter.limit - records.len()),
            ..filter.clone()
        };
        let found = reader.query(&step)?;
        let Some(last) = found.last() else { break };
        before_seq = Some(last.seq);
        for it in found {
            let is_snapshot = it.kind == Record::SNAPSHOT;
            bytes += if is_snapshot { 0 } else { it.body.len() };
            records.push(history_record(it, is_snapshot));
        }
    }
    Ok(records)
}

fn history_record(stored: StoredRecord, is_abridged: bool) -> HistoryRecord {
    let StoredRecord { seq, at, kind, target_id, body, link } = stored;
    let record = if is_abridged {
        serde_json::json!({ "record": kind, "at": at, "state_bytes": body.len() })
    } else {
        // Whatever is not JSON is shown all the same: this is evidence.
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into())
    };
    let target = target_id.and_then(|it| TargetId::new(&it).ok());
    HistoryRecord { seq, at, kind, target, record, link: to_hex(&link) }
}

/// Opens the journal and reads, on a thread that may block.
async fn read<T: Send + 'static>(
    shared: &Shared,
    reading: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failed> {
    let place = place(&shared.journal_reads).await?;
    let path = shared.state.journal.clone();
    blocking(move || {
        // Given back when the reading ends, not when nobody waits for it any more.
        let _place = place;
        reading(&Reader::open(&path)?)
    })
    .await
}

async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failed> {
    Arc::clone(places).acquire_owned().await.map_err(|it| Failed::internal(it.to_string()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failed> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|it| Failed::internal(it.to_string()))?.map_err(|error| {
        warn!(error = %chain(&error), "cannot read the journal");
        error.into()
    })
}

/// The explanation of the newest effect on `target` that was planned at or
/// before `at`, as far as its record tells.
pub(crate) async fn planned_before(
    shared: &Shared,
    target: &TargetId,
    at: Timestamp,
) -> Result<Option<ExplainAnswer>, Failed> {
    let filter = Filter {
        target_id: Some(target.to_string()),
        kind: Some("effect_planned".to_owned()),
        // Exclusive, and the journal keeps microseconds.
        to: at.checked_add(SignedDuration::from_micros(1)).ok(),
        newest_first: true,
        limit: 1,
        ..Filter::default()
    };
    let found = read(shared, move |reader| reader.query(&filter)).await?;
    Ok(found.first().and_then(|it| serde_json::from_slice(&it.body).ok()).and_then(explained))
}

fn explained(record: Record) -> Option<ExplainAnswer> {
    let Record::EffectPlanned { at, id, target, policy, desired, expected, why, .. } = record
    else {
        return None;
    };
    let explanation = Explanation {
        target,
        at,
        since: at,
        policy,
        autonomy: None,
        current: Some(expected),
        ready: None,
        proposed: Some(desired),
        reason: None,
        conclusion: Conclusion::Planned { effect: id, desired },
        limits: Vec::new(),
        bounds: None,
        signals: Vec::new(),
        arbitration: None,
    };
    Some(ExplainAnswer { explanation, sentence: why, earlier: Vec::new() })
}

/// What a verification of the whole journal found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VerifyAnswer {
    /// No fault of any kind.
    pub intact: bool,
    /// Name of the journal.
    pub origin: String,
    /// Records in the file.
    pub records: u64,
    /// First record; absent without records.
    pub first_seq: Option<u64>,
    /// Last record; absent without records.
    pub last_seq: Option<u64>,
    /// Link of the last record, in hex.
    pub last_link: String,
    /// Signed checkpoints that hold.
    pub checkpoints: u64,
    /// Exported note files that hold.
    pub exported_notes: u64,
    /// When the newest checkpoint that holds was signed.
    #[schema(value_type = Option<String>)]
    pub last_checkpoint_at: Option<Timestamp>,
    /// How many records it covers.
    pub last_checkpoint_size: Option<u64>,
    /// Records after it: chained, not signed yet.
    pub records_after_last_checkpoint: u64,
    /// Retention removed the records before this one.
    pub pruned_before: Option<u64>,
    /// SHA-256 of the public key, in hex.
    pub key_fingerprint: String,
    /// The public key as text, to verify a copy elsewhere.
    pub verifier_key: String,
    /// `given`: the signatures prove who wrote the journal. `embedded`: they
    /// prove only that the file fits itself.
    pub key_source: String,
    /// What is wrong, at most 100 of them.
    pub faults: Vec<VerifyFault>,
    /// Faults beyond those.
    pub faults_unlisted: u64,
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VerifyFault {
    /// The record; absent when it is the file as a whole.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl From<Verification> for VerifyAnswer {
    fn from(found: Verification) -> VerifyAnswer {
        VerifyAnswer {
            intact: found.intact,
            origin: found.origin,
            records: found.records,
            first_seq: found.first_seq,
            last_seq: found.last_seq,
            last_link: found.last_link,
            checkpoints: found.checkpoints,
            exported_notes: found.exported_notes,
            last_checkpoint_at: found.last_checkpoint.map(|it| it.at),
            last_checkpoint_size: found.last_checkpoint.map(|it| it.size),
            records_after_last_checkpoint: found.records_after_last_checkpoint,
            pruned_before: found.pruned_before,
            key_fingerprint: found.key_fingerprint,
            verifier_key: found.verifier_key,
            key_source: match found.key_source {
                KeySource::Given => "given".to_owned(),
                KeySource::Embedded => "embedded".to_owned(),
            },
            faults: found
                .faults
                .into_iter()
                .map(|it| VerifyFault { seq: it.seq, what: it.what })
                .collect(),
            faults_unlisted: found.faults_unlisted,
        }
    }
}

/// Verifies the whole journal. Takes seconds for a large one; one at a time.
#[utoipa::path(
    get, path = "/v1/audit/verify", operation_id = "auditVerify",
    responses(
        (status = 200, description = "What was found; look at `intact`", body = VerifyAnswer),
        (status = 503, description = "Another verification runs", body = ErrorAnswer),
    ),
)]
pub(crate) async fn audit_verify(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<VerifyAnswer>, Failed> {
    let place = Arc::clone(&shared.verifications).try_acquire_owned().map_err(|_| {
        let hint = "wait for it, or verify a copy: `evenkeel audit verify --store FILE`";
        Failed::new(StatusCode::SERVICE_UNAVAILABLE, "a verification runs already", hint)
            .retry_after(10)
    })?;
    let path = shared.state.journal.clone();
    let key = shared.state.verifying_key.clone();
    let found = blocking(move || {
        let _place = place;
        evenkeel_store::verify(&path, Some(&key))
    })
    .await?;
    Ok(Json(found.into()))
}

/// Query parameters of `GET /v1/audit/export`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// The first record to export; all by default.
    from_seq: Option<u64>,
}

/// Every record up to the newest, oldest first, one JSON object per line.
#[utoipa::path(
    get, path = "/v1/audit/export", operation_id = "auditExport", params(ExportParams),
    responses(
        (status = 200, description = "The records", body = HistoryRecord, content_type = "application/x-ndjson"),
        (status = 503, description = "Too many exports run", body = ErrorAnswer),
    ),
)]
pub(crate) async fn audit_export(
    State(shared): State<Arc<Shared>>,
    Params(ExportParams { from_seq }): Params<ExportParams>,
) -> Result<Response, Failed> {
    let place = Arc::clone(&shared.exports).try_acquire_owned().map_err(|_| {
        let hint = "wait for one of them to end";
        Failed::new(StatusCode::SERVICE_UNAVAILABLE, "too many exports run already", hint)
            .retry_after(10)
    })?;
    let path = shared.state.journal.clone();
    let after_seq = from_seq.unwrap_or(0).saturating_sub(1);
    let export = blocking(move || {
        let reader = Reader::open(&path)?;
        // What comes meanwhile is for the next export: this one has to end.
        let last_seq = reader.last_seq()?.unwrap_or(0);
        Ok(Export { reader, after_seq, last_seq, _place: place })
    })
    .await?;
    let pieces = stream::try_unfold(export, |export| async move {
        let piece = tokio::task::spawn_blocking(move || export.next_piece()).await;
        piece.map_err(std::io::Error::other)?.map_err(|error| {
            // The answer breaks off in the middle, which the client sees.
            warn!(error = %chain(&error), "export of the journal broke off");
            std::io::Error::other(error)
        })
    });
    let lines = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((lines, Body::from_stream(pieces)).into_response())
}

/// An export under way. It waits for its reader without a thread, a lock or an
/// open statement, so the journal's own work goes on.
struct Export {
    reader: Reader,
    after_seq: u64,
    last_seq: u64,
    _place: OwnedSemaphorePermit,
}

/// One line: the fields of [`HistoryRecord`], with the body's own bytes.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: Timestamp,
    kind: &'a str,
    target: Option<&'a str>,
    record: &'a RawValue,
    link: String,
}

impl Export {
    fn next_piece(mut self) -> Result<Option<(Bytes, Export)>, StoreError> {
        let found = self.reader.query(&Filter {
            after_seq: Some(self.after_seq),
            before_seq: Some(self.last_seq.saturating_add(1)),
            limit: EXPORT_PIECE_RECORDS,
            ..Filter::default()
        })?;
        let Some(last) = found.last() else { return Ok(None) };
        self.after_seq = last.seq;
        let mut lines = Vec::new();
        for it in found {
            write_line(&mut lines, it);
            lines.push(b'\n');
        }
        Ok(Some((lines.into(), self)))
    }
}

fn write_line(lines: &mut Vec<u8>, it: StoredRecord) {
    let body = std::str::from_utf8(&it.body).ok().filter(|it| !it.contains('\n'));
    let written = match body.and_then(|it| serde_json::from_str::<&RawValue>(it).ok()) {
        Some(record) => serde_json::to_writer(
            &mut *lines,
            &Line {
                seq: it.seq,
                at: it.at,
                kind: &it.kind,
                target: it.target_id.as_deref(),
                record,
                link: to_hex(&it.link),
            },
        ),
        None => serde_json::to_writer(&mut *lines, &history_record(it, false)),
    };
    // Writing such values to memory cannot fail.
    debug_assert!(written.is_ok(), "{written:?}");
}
