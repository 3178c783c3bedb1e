//! `spec:` of the kinds that only say something about others.
//!
//! **In:** the mapping as written.
//! **Out:** the type of a source of metrics.
//! **Not here:** how the daemon reaches metrics (its configuration; the details in a
//! `DataSource` are not read, and shown nowhere).

use super::scalar::Description;
use super::{Anything, fields};
use crate::documents::raw::scalar::ShortText;

fields! {
    /// Where metrics are read from.
    struct RawDataSource {
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
        /// `Prometheus` is read; others are only noted.
        required source_type = "type": ShortText,
        /// Not read: the daemon's configuration says how it reaches metrics.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional connection_details = "connectionDetails": Anything,
    }
}

fields! {
    /// What SLOs are about.
    struct RawService {
        /// For people.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional description: Description,
    }
}
