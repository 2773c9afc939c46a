//! Whether the numbers are right: the scheduling and recording code of the generator, driven in virtual time against
//! servers whose latency is known from theory. `--nocapture` shows the table.

mod arrivals;
mod formats;
mod merge;
mod pause;
mod queues;
mod slip;
mod virtual_run;

/// Prints one row of the table and fails when `found` is further than `percent` from `expected`.
pub(crate) fn assert_close(what: &str, found: f64, expected: f64, percent: f64) {
    let off = (found - expected) / expected * 100.0;
    // The form that `cargo x accuracy` reads.
    println!("\naccuracy | {what} | {found:.1} | {expected:.1} | {off:.2} % | {percent} %");
    assert!(off.abs() <= percent, "{what}: {found} is not {expected}");
}
