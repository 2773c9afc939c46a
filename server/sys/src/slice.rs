//! How long a thread keeps a core that others want too.

use std::io;

/// `struct sched_attr` of Linux, as of its first version.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const SIZE: u32 = size_of::<Attributes>() as u32;

/// Gives the calling thread slices of so many ns, at least 100,000, where they were 2.8 ms or so. It gets no less of its core by that; but
/// when it wakes it is not kept waiting for the rest of what a thread with longer slices was given, and where it yields it gives away as
/// much. Without effect before Linux 6.12.
///
/// # Errors
/// The OS's: then nothing has changed.
pub fn shorten_to(slice_ns: u64) -> io::Result<()> {
    let mut attributes = read()?;
    attributes.runtime = slice_ns;
    // SAFETY: the kernel reads one `sched_attr` of the size it says; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read() -> io::Result<Attributes> {
    let mut attributes = Attributes { size: SIZE, ..Attributes::default() };
    // SAFETY: the kernel writes at most `SIZE` bytes to what is as large; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    if result == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    #[test]
    fn the_calling_thread_has_short_slices_and_is_as_nice_as_before() {
        let before = read().expect("known");
        shorten_to(150_000).expect("allowed");
        let after = read().expect("known");
        assert_eq!((after.policy, after.nice), (before.policy, before.nice));
        if host::version_of(&host::kernel_release()).is_some_and(|version| version >= (6, 12)) {
            assert_eq!(after.runtime, 150_000);
        }
    }
}
