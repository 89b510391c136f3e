//! What a compiler's process has of its host: nothing but its three pipes.
//!
//! The standard library gives a child every descriptor that is not marked to be closed, the working
//! directory, the session and its terminal. A host may hold sockets, key files and databases that
//! other libraries opened without the mark. All of it is taken away between `fork` and `exec`, so
//! that it holds for any program that is named as a compiler. On Linux the process can also gain no
//! privileges, and ends with the thread that waits for it.
//!
//! On other Unix systems descriptors, working directory and session are taken away. On Windows the
//! working directory is; handles are inherited there only where they are marked for it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of a command that runs in another working directory. A path that is relative to the
/// working directory of this process is made absolute; a bare name is looked for in `PATH`.
pub(super) fn located(program: &Path) -> PathBuf {
    let is_path = program.components().nth(1).is_some() || program.starts_with(".");
    match std::path::absolute(program) {
        Ok(absolute) if is_path && program.is_relative() => absolute,
        _ => program.to_owned(),
    }
}

/// Takes away what the process would inherit.
#[cfg(unix)]
#[expect(unsafe_code, reason = "runs between fork and exec")]
pub(super) fn inherit_nothing(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    command.current_dir("/");
    let host = rustix::process::getpid();
    // SAFETY: `begin` makes system calls and does nothing else: it takes no lock, allocates nothing
    // and touches no state of another thread, which is what may be done between fork and exec.
    unsafe {
        command.pre_exec(move || begin(host));
    }
}

#[cfg(not(unix))]
pub(super) fn inherit_nothing(command: &mut Command) {
    // The folder of the system is there on every Windows.
    if let Some(root) = std::env::var_os("SystemRoot") {
        command.current_dir(root);
    }
}

/// What the child does before it becomes the compiler.
#[cfg(unix)]
fn begin(host: rustix::process::Pid) -> std::io::Result<()> {
    // A session of its own has no controlling terminal. It fails only for the leader of a group,
    // which a process that was just forked is not.
    rustix::process::setsid()?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};

        // The kernel sends it when the thread that started this process ends. That thread waits for
        // the process.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The host may have ended before.
        if getppid() != Some(host) {
            return Err(rustix::io::Errno::SRCH.into());
        }
        gain_no_privileges()?;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = host;
    close_on_exec();
    Ok(())
}

/// No program that this process becomes has more privileges: no set-user-ID bit counts.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(
    unsafe_code,
    reason = "prctl has no safe form in the crates' features in use"
)]
fn gain_no_privileges() -> std::io::Result<()> {
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: the call takes numbers and sets a flag of this thread.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// First descriptor above stderr.
#[cfg(unix)]
const ABOVE_STDERR: libc::c_int = 3;

/// Marks every descriptor above stderr to be closed when the program begins. They are not closed at
/// once, because the standard library still reports through one of them.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe crate in use marks a range")]
fn close_on_exec() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: the call takes three numbers and marks descriptors of this process, which has one
        // thread. By its number, because libraries before glibc 2.34 do not have it.
        let marked = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                ABOVE_STDERR as libc::c_uint,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if marked == 0 {
            return;
        }
        // Linux before 5.11.
    }
    // A descriptor may lie above a limit that was lowered later, so the higher one of the two counts.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(MOST_DESCRIPTORS);
    let most = libc::c_int::try_from(most).unwrap_or(libc::c_int::MAX);
    for descriptor in ABOVE_STDERR..most {
        // SAFETY: the call takes numbers; a descriptor that is not open is an error and no more.
        unsafe {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Most descriptors that are marked one by one: the limit of Linux for a process, unless it was
/// raised. It takes a tenth of a second.
#[cfg(unix)]
const MOST_DESCRIPTORS: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_relative_program_is_found_from_another_folder_and_a_name_is_left_to_path() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(located(Path::new("./c")), here.join("c"));
        assert_eq!(located(Path::new("a/c")), here.join("a/c"));
        assert_eq!(located(Path::new("c")), Path::new("c"));
        assert_eq!(located(Path::new("/a/c")), Path::new("/a/c"));
        let own = Path::new("/proc/self/exe");
        assert_eq!(located(own), own);
    }
}
