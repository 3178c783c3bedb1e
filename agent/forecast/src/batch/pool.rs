//! Work spread over the machine's cores.
//!
//! **In:** a slice and a function of one element.
//! **Out:** the results in the order of the slice, whatever thread finished first.
//! **Not here:** what the work is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// The most threads that are started.
///
/// Why 64: more cores than that are rarely all ours, and each thread holds a table.
const THREADS_MAX: usize = 64;

/// One thread per core that this process may use.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Applies `work` to every element on that many threads; `report` hears the index of each finished one, on the
/// calling thread.
pub(crate) fn map<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    report: &mut dyn FnMut(usize),
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let result = work(item);
                report(index);
                result
            })
            .collect();
    }
    let next = AtomicUsize::new(0);
    let (finished, results) = mpsc::channel();
    let mut slots: Vec<Option<R>> = items.iter().map(|_| None).collect();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (finished, next, work) = (finished.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    if finished.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(finished);
        for (index, result) in results {
            slots[index] = Some(result);
            report(index);
        }
    });
    slots.into_iter().flatten().collect()
}
