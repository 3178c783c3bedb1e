//! How long requests wait at a number of servers.
//!
//! **In:** servers, their speed, and an arrival rate.
//! **Out:** Erlang C: the chance to wait, the mean wait, and the mean queue.
//! **Not here:** what arrives when, and the backlog that an overload leaves behind
//! ([`crate::world`]).

/// Utilisation above which the steady-state formulas are not followed.
///
/// Why 0.995: at 1.0 they have no finite answer, and from here on a growing backlog says more
/// than a steady state that would take hours to reach.
pub const UTILISATION_MAX: f64 = 0.995;

/// Where the sum of Erlang's recursion is large enough that the chance to wait is nothing.
const NEVER_WAITS: f64 = 1e15;

/// Probability that a request must wait in an M/M/c queue (Erlang's C formula): `0.0 ..= 1.0`.
///
/// `offered` is the load in erlangs, arrival rate divided by one server's rate. 10 servers at
/// 8 erlangs make 41 % wait. No load never waits; `offered >= servers`, and no servers, always
/// wait. NaN counts as no load.
///
/// Source: Erlang (1917), by the recursion for Erlang B as in Cooper, *Introduction to Queueing
/// Theory* (1981), ch. 3.
pub fn erlang_c(servers: u32, offered: f64) -> f64 {
    if offered.is_nan() || offered <= 0.0 {
        return if servers == 0 { 1.0 } else { 0.0 };
    }
    if f64::from(servers) <= offered {
        return 1.0;
    }
    // 1/B(k) = 1 + k/a * 1/B(k-1)
    let mut inverse_blocking = 1.0;
    for server in 1..=servers {
        inverse_blocking = 1.0 + inverse_blocking * f64::from(server) / offered;
        if NEVER_WAITS < inverse_blocking {
            return 0.0;
        }
    }
    let blocking = 1.0 / inverse_blocking;
    let utilisation = offered / f64::from(servers);
    blocking / (1.0 - utilisation * (1.0 - blocking))
}

/// Equally fast servers with one queue (M/M/c), at a steady arrival rate.
///
/// Every answer follows the formula up to [`UTILISATION_MAX`] and keeps that value above it, so
/// all answers are finite while there is a server; they never fall when the load grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Station {
    /// Requests that can be served at the same time.
    pub servers: u32,
    /// Requests per second that one server finishes; finite and above 0.
    pub server_rps: f64,
}

impl Station {
    /// Requests per second that all servers together can finish.
    pub fn capacity_rps(&self) -> f64 {
        f64::from(self.servers) * self.server_rps
    }

    /// Probability that a request must wait at all: `0.0 ..= 1.0`.
    pub fn waits_probability(&self, load_rps: f64) -> f64 {
        erlang_c(self.servers, self.steady(load_rps) / self.server_rps)
    }

    /// Mean number of requests that wait, not counting those being served.
    pub fn queue_mean(&self, load_rps: f64) -> f64 {
        if self.servers == 0 {
            return 0.0;
        }
        let utilisation = self.steady(load_rps) / self.capacity_rps();
        self.waits_probability(load_rps) * utilisation / (1.0 - utilisation)
    }

    /// Mean wait in seconds over all requests; infinite without servers.
    pub fn wait_mean_seconds(&self, load_rps: f64) -> f64 {
        if self.servers == 0 {
            return f64::INFINITY;
        }
        self.waits_probability(load_rps) / (self.capacity_rps() - self.steady(load_rps))
    }

    /// The load up to which the formulas are followed.
    fn steady(&self, load_rps: f64) -> f64 {
        load_rps.max(0.0).min(self.capacity_rps() * UTILISATION_MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(servers: u32, offered: f64, expected: f64) {
        let waits = erlang_c(servers, offered);
        assert!((waits - expected).abs() < 6e-6, "C({servers}, {offered}) = {waits}");
    }

    #[test]
    fn erlang_c_gives_the_values_of_the_tables() {
        check(1, 0.5, 0.5); // M/M/1: C = rho
        check(2, 1.0, 1.0 / 3.0); // M/M/2: 2 rho^2 / (1 + rho)
        // By exact rational arithmetic from the definition, elsewhere.
        check(10, 8.0, 0.409_18);
        check(5, 4.0, 0.554_11);
        check(20, 16.0, 0.256_08);
        check(100, 80.0, 0.019_65);
    }

    /// The definition, with its powers and factorials, for few servers.
    fn by_definition(servers: u32, offered: f64) -> f64 {
        let mut term = 1.0;
        let mut sum = 0.0;
        for k in 0..servers {
            sum += term;
            term *= offered / f64::from(k + 1);
        }
        let last = term * f64::from(servers) / (f64::from(servers) - offered);
        last / (sum + last)
    }

    #[test]
    fn the_edges_are_as_the_documentation_says() {
        let cases = [(0, 0.0), (0, 1.0), (3, 0.0), (3, -1.0), (3, 3.0), (3, 1e300), (3, f64::NAN)];
        let waits: Vec<f64> = cases.iter().map(|(c, a)| erlang_c(*c, *a)).collect();
        assert_eq!(format!("{waits:?}"), "[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]");
        assert_eq!(format!("{}", erlang_c(u32::MAX, 1e-3)), "0", "and returns at once");
    }

    proptest! {
        #[test]
        fn erlang_c_agrees_with_its_definition(servers in 1u32..60, utilisation in 0.001f64..0.999) {
            let offered = utilisation * f64::from(servers);
            prop_assert!((erlang_c(servers, offered) - by_definition(servers, offered)).abs() < 1e-9);
        }

        // Little: the mean number waiting is the arrival rate times the mean wait.
        #[test]
        fn littles_law_holds(servers in 1u32..200, server_rps in 0.1f64..100.0, utilisation in 0.0f64..0.99) {
            let station = Station { servers, server_rps };
            let load = utilisation * station.capacity_rps();
            let waiting = load * station.wait_mean_seconds(load);
            prop_assert!((station.queue_mean(load) - waiting).abs() <= 1e-6 * waiting.max(1.0));
        }

        #[test]
        fn more_load_never_waits_less_and_more_servers_never_more(
            servers in 1u32..200, server_rps in 0.1f64..100.0, load in 0.0f64..20_000.0, more in 0.0f64..1_000.0,
        ) {
            let station = Station { servers, server_rps };
            let wait = station.wait_mean_seconds(load);
            prop_assert!(wait.is_finite() && 0.0 <= wait);
            prop_assert!(wait <= station.wait_mean_seconds(load + more) + 1e-9);
            if load < station.capacity_rps() * UTILISATION_MAX {
                let larger = Station { servers: servers + 1, server_rps };
                prop_assert!(larger.wait_mean_seconds(load) <= wait + 1e-9);
            }
        }
    }
}
