//! What the simulated region's commands do: the allow-list of a made-up site.
//!
//! **In:** a command's or a webhook's name, its arguments, the service of its target.
//! **Out:** a lever of the region that is pulled.
//! **Not here:** receipts, refusals and lost answers ([`super`]).
//!
//! Every command is absolute: carried out twice, it does what it does once. An argument is a
//! word or `name=value`, as a webhook's fields are.

use crate::world::World;

/// Every command, which is also a webhook of the same name, and what it does to the service of
/// its target.
pub const COMMANDS: [(&str, &str); 19] = [
    ("shed-load", "turns away `ratio` (0.3) of the first tries"),
    ("restore-load", "turns away none"),
    ("limit-retries", "lets retries be at most `ratio` (0.1) of first tries"),
    ("restore-retries", "lets them be what the service's own budget says"),
    ("open-breaker", "lets calls to `callee` (all it calls) fail at once"),
    ("close-breaker", "makes them again"),
    ("clean-disk", "brings the disk to 30 % used"),
    ("renew-certificate", "a certificate that is good for 90 days"),
    ("block-junk", "turns worthless requests away before they cost anything"),
    ("unblock-junk", "no longer"),
    ("stop-automation", "stops another automation that sets its units"),
    ("start-automation", "lets it go on"),
    ("warm-cache", "fills a cache from its origin"),
    ("flush-cache", "empties it"),
    ("promote-replica", "makes a replica the primary; what it had not seen is lost"),
    ("drain-zone", "takes the units of `zone` away, and launches none there"),
    ("restore-zone", "launches there again"),
    ("set-units", "nothing: units are the provider's; it is always refused"),
    ("fail", "nothing: it always fails"),
];

/// Retries of first tries, and first tries that are turned away, where nobody says.
const RETRIES_RATIO: f64 = 0.1;
const SHED_RATIO: f64 = 0.3;

/// Whether the site allows it.
pub fn is_known(name: &str) -> bool {
    COMMANDS.iter().any(|(it, _)| *it == name)
}

/// A word of the arguments.
struct Words<'a>(&'a [String]);

impl Words<'_> {
    /// `name=value`, or the first bare word that `fits`.
    fn find<T>(&self, name: &str, fits: impl Fn(&str) -> Option<T>) -> Option<T> {
        let named = self.0.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        match named {
            Some(value) => fits(value),
            None => self.0.iter().filter(|it| !it.contains('=')).find_map(|it| fits(it)),
        }
    }

    fn ratio(&self, default: f64) -> Result<f64, String> {
        let ratio = self.find("ratio", |it| it.parse::<f64>().ok()).unwrap_or(default);
        if (0.0..=1.0).contains(&ratio) {
            Ok(ratio)
        } else {
            Err(format!("a ratio of {ratio}, it must be 0 to 1"))
        }
    }
}

/// Pulls the lever.
///
/// # Errors
///
/// Why it surely did nothing.
pub(super) fn carry_out(
    world: &mut World,
    stopped: &mut [bool],
    service: usize,
    name: &str,
    arguments: &[String],
) -> Result<(), String> {
    let words = Words(arguments);
    let spec = world.spec();
    let zone = || {
        let zone = words.find("zone", |it| spec.zones.iter().position(|zone| zone == it));
        zone.ok_or_else(|| format!("`{name}` needs a zone of the region"))
    };
    let callees = || -> Vec<usize> {
        let calls = spec.services.get(service).map_or(&[][..], |it| it.calls.as_slice());
        let of = |it: &str| {
            calls
                .iter()
                .map(|it| it.service)
                .find(|at| spec.services.get(*at).is_some_and(|callee| callee.name == it))
        };
        match words.find("callee", of) {
            Some(callee) => vec![callee],
            None => calls.iter().map(|it| it.service).collect(),
        }
    };
    match name {
        "shed-load" => world.knobs_mut(service).shed_ratio = words.ratio(SHED_RATIO)?,
        "restore-load" => world.knobs_mut(service).shed_ratio = 0.0,
        "limit-retries" => world.limit_retries(service, Some(words.ratio(RETRIES_RATIO)?)),
        "restore-retries" => world.limit_retries(service, None),
        "open-breaker" | "close-breaker" => {
            for callee in callees() {
                world.set_breaker(service, callee, name == "open-breaker");
            }
        }
        "clean-disk" => world.clean_disk(service),
        "renew-certificate" => world.renew_certificate(service),
        "block-junk" => world.block_junk(service, true),
        "unblock-junk" => world.block_junk(service, false),
        "stop-automation" | "start-automation" => {
            if let Some(it) = stopped.get_mut(service) {
                *it = name == "stop-automation";
            }
        }
        "warm-cache" => world.warm(service),
        "flush-cache" => world.flush(service),
        "promote-replica" => world.promote(service),
        "drain-zone" => {
            let zone = zone()?;
            world.drain(zone);
        }
        "restore-zone" => {
            let zone = zone()?;
            world.undrain(zone);
        }
        "set-units" => return Err("units are set at the provider".to_owned()),
        "fail" => return Err("the command ended with status 1".to_owned()),
        _ => return Err(format!("`{name}` is not in the allow-list")),
    }
    Ok(())
}
