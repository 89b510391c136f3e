//! The system calls of a compiler's process.
//!
//! Compiling is computing: it takes memory and threads, reads the component and writes the code. A
//! component that breaks the compiler finds a process that can do these and nothing else: no file,
//! no socket, no other program, no memory that can be executed. The process installs the filter
//! itself, once its compiler is set up and before it reads a byte of the component.
//!
//! What is not on the list fails as if the system did not have it (`ENOSYS`), which is what C
//! libraries are prepared for: a newer one that tries another call first goes on. What no compiler
//! has a reason to try (other programs, sockets, other processes) ends the process, and the plugin
//! is refused.
//!
//! Linux on x86-64, aarch64 and riscv64. Elsewhere, and on a kernel without filters, there is none.

#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
))]
pub(super) use linux::install;

/// There is no filter on this system.
#[cfg(not(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
)))]
pub(super) fn install() -> Result<(), String> {
    Ok(())
}

#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
))]
mod linux {
    use std::collections::BTreeMap;

    use libc::c_long;
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
        SeccompFilter, SeccompRule, TargetArch,
    };

    /// What compiling takes, in any of its arguments.
    const ALLOWED: &[c_long] = &[
        // The component in, the code and a panic's words out.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_lseek,
        // Memory, without mapping and protecting: see `rules`.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Threads: their beginning, their waiting, their end.
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_futex,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_membarrier,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_restart_syscall,
        // Signals of this process: handlers of overflowing stacks, and `abort`.
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_tgkill,
        // Seeds of hash tables, time, limits.
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_prlimit64,
    ];

    /// What ends the process.
    const DEADLY: &[c_long] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_mount,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_keyctl,
    ];

    /// Puts the filter on all threads of this process. It can't be taken back.
    pub(in crate::plugin::compile) fn install() -> Result<(), String> {
        // The last one installed forbids to install another.
        for filter in [deadly(), allowed()] {
            let program = filter.map_err(|error| error.to_string())?;
            match seccompiler::apply_filter_all_threads(&program) {
                Ok(()) => {}
                Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
                    if is_unsupported(&error) =>
                {
                    return Ok(());
                }
                Err(error) => return Err(format!("could not limit system calls: {error}")),
            }
        }
        Ok(())
    }

    /// Whether the kernel has no filters.
    fn is_unsupported(error: &std::io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
    }

    type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

    fn deadly() -> Result<BpfProgram, BackendError> {
        let rules = DEADLY.iter().map(|call| (*call, Vec::new())).collect();
        program(rules, SeccompAction::Allow, SeccompAction::KillProcess)
    }

    fn allowed() -> Result<BpfProgram, BackendError> {
        let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
        program(rules()?, unknown, SeccompAction::Allow)
    }

    fn program(
        rules: Rules,
        otherwise: SeccompAction,
        matched: SeccompAction,
    ) -> Result<BpfProgram, BackendError> {
        let target = TargetArch::try_from(std::env::consts::ARCH)?;
        SeccompFilter::new(rules, otherwise, matched, target)?.try_into()
    }

    fn rules() -> Result<Rules, BackendError> {
        let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        // No memory that can be executed: the code is written out and not run.
        let prot = bits(2, libc::PROT_EXEC as u64, 0)?;
        rules.insert(libc::SYS_mmap, vec![prot.clone()]);
        rules.insert(libc::SYS_mprotect, vec![prot]);
        // Threads and no processes. `clone3` has its flags in memory, where no filter sees them: it
        // is not on the list, and libraries then take `clone`.
        let thread = libc::CLONE_THREAD as u64;
        rules.insert(libc::SYS_clone, vec![bits(0, thread, thread)?]);
        // The names of threads.
        let name = bits(0, u64::from(u32::MAX), libc::PR_SET_NAME as u64)?;
        rules.insert(libc::SYS_prctl, vec![name]);
        Ok(rules)
    }

    /// The call is allowed if these bits of an argument have this value.
    fn bits(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, BackendError> {
        let compared = SeccompCmpOp::MaskedEq(mask);
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, compared, value)?;
        SeccompRule::new(vec![condition])
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::process::ExitStatusExt as _;
        use std::process::{Command, ExitStatus, Stdio};

        use super::*;

        /// Names what is tried under the filter, in a process of its own: a filter stays for ever.
        const TRIED: &str = "PROVIDER_HOST_TEST_TRIED";

        /// How a process ends in which something is tried under the filter.
        fn tried(what: &str) -> ExitStatus {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "--test-threads=1"])
                .arg("plugin::compile::filter::linux::tests::what_is_tried_under_the_filter")
                .env(TRIED, what)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap()
        }

        #[test]
        #[ignore = "ends its process; run by the tests below"]
        #[expect(unsafe_code, reason = "makes system calls that no library offers")]
        fn what_is_tried_under_the_filter() {
            let Ok(what) = std::env::var(TRIED) else {
                return;
            };
            let parent = rustix::process::getppid().unwrap();
            install().unwrap();
            let refused = match what.as_str() {
                "nothing" => true,
                "threads" => {
                    std::thread::spawn(|| vec![0; 1 << 20].len())
                        .join()
                        .unwrap()
                        > 0
                }
                "a file" => std::fs::read("/etc/passwd").is_err(),
                "a new file" => std::fs::write("/tmp/provider-host-filter", "x").is_err(),
                "a folder" => std::fs::read_dir("/").is_err(),
                "a file's facts" => std::fs::metadata("/etc/passwd").is_err(),
                "a removal" => std::fs::remove_file("/tmp/provider-host-none")
                    .is_err_and(|error| error.raw_os_error() == Some(libc::ENOSYS)),
                "a signal" => {
                    let signal = rustix::process::Signal::CONT;
                    rustix::process::kill_process(parent, signal).is_err()
                }
                // SAFETY: the mapping is new, and nothing is done with it.
                "code" => unsafe {
                    let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
                    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                    libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) == libc::MAP_FAILED
                },
                // SAFETY: the calls take numbers.
                "another filter" => unsafe { libc::syscall(libc::SYS_seccomp, 0, 0, 0) == -1 },
                // SAFETY: as above.
                "clone3" => unsafe { libc::syscall(libc::SYS_clone3, 0, 0) == -1 },
                // SAFETY: as above; a child that there were would end at once.
                "a process" => unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) == -1 },
                "a socket" => std::net::UdpSocket::bind("127.0.0.1:0").is_err(),
                "a program of its own" => {
                    use std::os::unix::process::CommandExt as _;
                    Command::new("/bin/true").exec().raw_os_error().is_some()
                }
                // SAFETY: as above.
                "a trace" => unsafe { libc::syscall(libc::SYS_ptrace, 0, 0, 0, 0) == -1 },
                other => panic!("{other}"),
            };
            // Threads of the test runner would wait for this one.
            std::process::exit(if refused { 42 } else { 1 });
        }

        #[test]
        fn what_compiling_takes_is_given_and_everything_else_is_refused() {
            for what in [
                "nothing",
                "threads",
                "a file",
                "a new file",
                "a folder",
                "a file's facts",
                "a removal",
                "a signal",
                "code",
                "another filter",
                "clone3",
                "a process",
            ] {
                assert_eq!(tried(what).code(), Some(42), "{what}");
            }
        }

        #[test]
        fn what_no_compiler_tries_ends_the_process() {
            for what in ["a socket", "a program of its own", "a trace"] {
                assert_eq!(tried(what).signal(), Some(libc::SIGSYS), "{what}");
            }
        }
    }
}
