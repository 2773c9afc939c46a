//! How much a thread may ask of its core.

use std::io;

/// From now on the calling thread runs only while no ordinary thread wants its core (`SCHED_IDLE`): one that wakes takes the core at
/// once, and beside one that never sleeps it gets some 0.3 % of it. There is no way back without a privilege.
///
/// # Errors
/// The OS's.
pub fn run_when_idle() -> io::Result<()> {
    // SAFETY: all zero is a good sched_param, of whatever fields it is made.
    let parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads the parameter, which lives until the call has returned; 0 names the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// proc(5): the 41st field, the 39th after the name.
    fn policy() -> i32 {
        let text = std::fs::read_to_string("/proc/thread-self/stat").expect("of every thread");
        let (_, fields) = text.rsplit_once(") ").expect("a name");
        fields.split(' ').nth(38).and_then(|field| field.parse().ok()).expect("a number")
    }

    #[test]
    fn a_thread_gives_way_and_no_other_thread_does() {
        let before = policy();
        let there = std::thread::spawn(|| {
            run_when_idle().expect("it needs no privilege");
            policy()
        });
        assert_eq!(there.join().expect("no panic"), libc::SCHED_IDLE);
        assert_eq!(policy(), before);
        assert_ne!(before, libc::SCHED_IDLE);
    }
}
