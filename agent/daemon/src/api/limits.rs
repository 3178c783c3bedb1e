//! How much the API does at once, and for how long.
//!
//! **In:** nothing.
//! **Out:** the bounds, each with its reason.
//! **Not here:** applying them ([`super::admission`], [`super::listen`],
//! [`super::body`]).

use std::time::Duration;

/// Open connections per listener. Why 256: more than a team with its scripts and
/// scrapers has, and far below the usual limit of 1,024 open files.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// Reads that are answered at once; more are told to come back.
pub(crate) const READS_MAX: usize = 48;

/// Changes that are carried out at once. Why apart from reads, 64 in all: no
/// number of dashboards may keep a person's freeze waiting.
pub(crate) const CHANGES_MAX: usize = 16;

/// Requests that read the journal at once. Why 4: each may hold up to 64 MiB of
/// records and a thread.
pub(crate) const JOURNAL_READS_MAX: usize = 4;

/// Exports under way at once; one lasts as long as its reader takes.
pub(crate) const EXPORTS_MAX: usize = 4;

/// Longest time for one answer. Why 10 s: twice what the loop may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for one verification. Why 5 min: about 100 times what a journal
/// of a million records takes.
pub(crate) const VERIFY_TIMEOUT: Duration = Duration::from_secs(300);

/// Longest time for a request's body. Why 4 s: 16 KiB take milliseconds, and
/// with the loop's 5 s it stays below [`REQUEST_TIMEOUT`], so that who waited
/// for the loop hears of the loop.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(4);

/// Largest body of a request. Why 16 KiB: the largest override is below 1 KiB.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// Largest notification of an Alertmanager. Why 1 MiB: 1,000 alerts of 1 KiB.
pub(crate) const ALERTS_BYTES_MAX: usize = 1024 * 1024;

/// Most alerts of one notification. Why 1,000: a group of more says no more than that much
/// is wrong, and one that matches is enough to look.
pub(crate) const ALERTS_MAX: usize = 1_000;

/// The agent is woken by alerts at most once in this time. Why 5 s: a third of the evaluation
/// period, so that alerts at most quadruple the queries to Prometheus.
pub(crate) const WAKE_PERIOD: Duration = Duration::from_secs(5);

/// How much of a body that is too large is still read. Why 1 MiB: enough for
/// nearly every client to finish writing and so to see the answer.
pub(crate) const BODY_DRAINED_BYTES_MAX: usize = 1024 * 1024;

/// Longest time for the head of a request, and that a connection may be idle.
/// Why 15 s: as the evaluation period; a client that polls keeps its connection.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest head of a request. Why 16 KiB: a line and a token are below 1 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest time that a client may take nothing of an answer. Why 30 s: a pager
/// left open must not hold one of [`EXPORTS_MAX`] for long.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest life of a connection; then it may finish its answer. Why 10 min: a
/// new connection costs milliseconds, and new certificates get used.
pub(crate) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);

/// Longest time for a TLS handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long answers may take to finish once the daemon stops.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Failed authentications of one address within [`FAILURES_WINDOW`] after which
/// further ones are refused unseen.
pub(crate) const FAILURES_MAX: u32 = 20;

/// See [`FAILURES_MAX`].
pub(crate) const FAILURES_WINDOW: Duration = Duration::from_secs(60);

/// Addresses whose failures are remembered at once. Why 4,096: what an attacker
/// with many addresses can make us hold is below 1 MiB.
pub(crate) const FAILING_ADDRESSES_MAX: usize = 4_096;

/// Records of a history when nobody says how many.
pub(crate) const HISTORY_RECORDS_DEFAULT: usize = 50;

/// Most records of a history. Why 1,000: more is an export.
pub(crate) const HISTORY_RECORDS_MAX: usize = 1_000;

/// Most bytes of records in a history; what is beyond them is left for the next page.
pub(crate) const HISTORY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Records that an export reads at once. Why 64: the pieces stay small, also
/// where a few of them are snapshots.
pub(crate) const EXPORT_PIECE_RECORDS: usize = 64;

/// Targets that one question to the loop is about. Why 500: about a millisecond,
/// so that a status of 10,000 targets delays nobody's freeze.
pub(crate) const TARGETS_PER_QUESTION: usize = 500;

/// Faults of documents that an answer lists; more are only counted.
pub(crate) const FAULTS_MAX: usize = 50;

/// How often the certificate's files are looked at.
pub(crate) const CERTIFICATE_PERIOD: Duration = Duration::from_secs(30);
