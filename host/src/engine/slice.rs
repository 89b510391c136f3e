//! A short time slice for the clock's thread.
//!
//! While guests keep all processors busy, the thread that is to interrupt them has to get one.
//! Linux lets a running thread finish its slice first, which takes up to one of its own ticks (4 ms
//! at 250 Hz), unless the thread that wakes asked for a shorter slice (since Linux 6.12). Asking
//! needs no privilege and gives no thread more processor time in all.

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "makes system calls that no library offers")]
mod linux {
    use std::mem::{size_of, zeroed};

    /// Nanoseconds; the kernel takes no shorter one.
    const SHORTEST: u64 = 100_000;

    #[allow(clippy::cast_possible_truncation, reason = "it is 48")]
    const SIZE: u32 = size_of::<libc::sched_attr>() as u32;

    /// How the calling thread is scheduled.
    pub(super) fn attributes() -> Option<libc::sched_attr> {
        // SAFETY: all of its fields are integers.
        let mut attributes: libc::sched_attr = unsafe { zeroed() };
        // SAFETY: the kernel writes at most `SIZE` bytes into `attributes`. Thread 0 is the caller's.
        let got =
            unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
        (got == 0).then_some(attributes)
    }

    /// Asks for the shortest slice that there is, for the calling thread. What refuses or does not
    /// know it leaves the clock as late as it was.
    pub(in super::super) fn shorten() {
        let ordinary = [libc::SCHED_OTHER, libc::SCHED_BATCH];
        let is_ordinary = |attributes: &libc::sched_attr| {
            i32::try_from(attributes.sched_policy).is_ok_and(|policy| ordinary.contains(&policy))
        };
        let Some(mut attributes) = attributes().filter(is_ordinary) else {
            return;
        };
        attributes.size = SIZE;
        attributes.sched_runtime = SHORTEST;
        // SAFETY: the kernel reads `SIZE` bytes from `attributes`, which is what its `size` says.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::shorten;

#[cfg(not(target_os = "linux"))]
pub(super) fn shorten() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::attributes;
    use super::*;

    #[test]
    fn it_changes_nothing_but_the_slice() {
        std::thread::spawn(|| {
            let before = attributes().expect("how a thread is scheduled");
            shorten();
            let after = attributes().expect("how a thread is scheduled");
            assert_eq!(after.sched_policy, before.sched_policy);
            assert_eq!(after.sched_nice, before.sched_nice);
            assert_eq!(after.sched_flags, before.sched_flags);
            // A kernel before 6.12 has no slices to tell of.
            if before.sched_runtime > 0 {
                assert_eq!(after.sched_runtime, 100_000);
            }
        })
        .join()
        .expect("a thread");
    }
}
