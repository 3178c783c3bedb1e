//! shell
pub mod prometheus;
pub mod mailbox;
