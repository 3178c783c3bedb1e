//! Tests of the platforms from outside, in one binary.
//!
//! In: requests, servers and proxies.
//! Out: how each request ends.
//! Not here: tables of codes and statuses (beside the code).

#[cfg(test)]
mod actuators;
#[cfg(test)]
#[cfg(feature = "allowed")]
mod allowed;
#[cfg(test)]
#[cfg(feature = "allowed")]
mod allowed_terraform;
#[cfg(test)]
#[cfg(feature = "aws")]
mod aws;
#[cfg(test)]
#[cfg(feature = "aws")]
mod aws_actuators;
#[cfg(test)]
#[cfg(feature = "aws")]
mod aws_answers;
#[cfg(test)]
mod common;
#[cfg(test)]
#[cfg(feature = "haproxy")]
mod haproxy;
#[cfg(test)]
#[cfg(feature = "haproxy")]
mod haproxy_tenants;
#[cfg(test)]
#[cfg(feature = "webhook")]
mod platform;
#[cfg(test)]
mod routing;
#[cfg(test)]
#[cfg(feature = "webhook")]
mod webhook;
#[cfg(test)]
#[cfg(feature = "webhook")]
mod webhook_actuator;
