//! Requests in one piece of memory, addressed by number.
//!
//! **In:** requests that come and go. **Out:** their places, which are used again.
//! **Not here:** what a request does ([`super::engine`]).

/// Stands for no request: no caller but a person, nothing behind in a queue.
pub(super) const NONE: u32 = u32::MAX;

/// One try of one request at one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// When it arrived at its service.
    pub(super) arrived_at: u64,
    /// Own work to do after its calls, in nanoseconds; 0 when there is none left.
    pub(super) rest: u64,
    /// Its service.
    pub(super) service: u32,
    /// The request that waits for it; [`NONE`] for a person.
    pub(super) caller: u32,
    /// Next in the queue, or next free place.
    pub(super) next: u32,
    /// How often its place was used before: tells a time-out that it came too late.
    pub(super) generation: u32,
    /// Calls that are left of the kind it is at.
    pub(super) calls_left: u32,
    /// Kind of call that comes after this one, as a place in the spec's `calls`.
    pub(super) calls_next: u32,
    /// Tries before this one.
    pub(super) tries: u32,
    /// Whether the call it waits for is needed.
    pub(super) is_call_needed: bool,
    /// Whether its answer will be an error.
    pub(super) is_error: bool,
    /// Whether nobody waits for it any more.
    pub(super) is_given_up: bool,
    /// Whether the place is in use.
    pub(super) is_live: bool,
}

/// All requests.
#[derive(Debug)]
pub(super) struct Arena {
    requests: Vec<Request>,
    free: u32,
    n_live: usize,
}

impl Arena {
    pub(super) fn new() -> Arena {
        Arena { requests: Vec::new(), free: NONE, n_live: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.n_live
    }

    /// All that are there.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|it| it.is_live)
    }

    /// A place for a try of a request. The caller sees to it that there are never as many as
    /// [`NONE`].
    pub(super) fn add(&mut self, service: u32, caller: u32, tries: u32) -> u32 {
        self.n_live += 1;
        let request = Request {
            arrived_at: 0,
            rest: 0,
            service,
            caller,
            next: NONE,
            generation: 0,
            calls_left: 0,
            calls_next: 0,
            tries,
            is_call_needed: false,
            is_error: false,
            is_given_up: false,
            is_live: true,
        };
        let place = self.free;
        if let Some(old) = self.requests.get_mut(place as usize) {
            self.free = old.next;
            *old = Request { generation: old.generation, ..request };
            return place;
        }
        let place = u32::try_from(self.requests.len()).unwrap_or(NONE);
        self.requests.push(request);
        place
    }

    /// Gives a place back.
    pub(super) fn remove(&mut self, place: u32) {
        self.n_live -= 1;
        let free = self.free;
        let request = self.at_mut(place);
        request.generation = request.generation.wrapping_add(1);
        request.is_live = false;
        request.next = free;
        self.free = place;
    }

    pub(super) fn at(&self, place: u32) -> &Request {
        &self.requests[place as usize]
    }

    pub(super) fn at_mut(&mut self, place: u32) -> &mut Request {
        &mut self.requests[place as usize]
    }
}
