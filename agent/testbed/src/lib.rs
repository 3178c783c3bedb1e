//! Real counterparts for the tests of the other crates.
//!
//! In: what a test needs (exporters to scrape, history, groups to create).
//! Out: a running Prometheus, HAProxy, moto server, exporter or proxy on loopback, gone
//! when dropped and gone when the test process dies.
//! Not here: assertions about Evenkeel. Nothing in the product depends on this crate.
//!
//! A test cannot go on without its counterpart, so nothing here returns an error:
//! every fault panics at the caller's line and says what to install or what the
//! server logged.

pub mod exporter;
pub mod haproxy;
pub mod http;
pub mod moto;
pub mod port;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod wait;

pub use exporter::Exporter;
pub use haproxy::Haproxy;
pub use moto::Moto;
pub use port::free_port;
pub use process::Process;
pub use prometheus::Prometheus;
pub use proxy::Proxy;
pub use wait::wait_until;
