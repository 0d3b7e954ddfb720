//! The filter of system calls: what the sensor uses while it runs is allowed, what only an intruder
//! would use ends the process, everything else fails with EPERM.
//!
//! The list was found with `strace -f` over all ways to run (AF_XDP, AF_PACKET, files; with journal,
//! delivery by HTTPS, metrics, shutdown and a panic) and completed with those that glibc may choose
//! instead. See decisions/007-privileges-are-given-up.md.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

/// Allowed whatever their arguments are.
const ALLOWED: &[i64] = &[
    // Files.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_openat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_fchmod,
    libc::SYS_getdents64,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_dup,
    libc::SYS_pipe2,
    libc::SYS_fadvise64,
    // Waiting and time.
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_futex,
    libc::SYS_restart_syscall,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads and signals. A panic that is not caught ends in abort: tgkill.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Sockets that are open, and connections to control.
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
];

/// The older names of some of them, which one architecture alone has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_readlink,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

/// Allowed with some values of one argument alone.
const ALLOWED_WITH: &[(i64, u8, &[u64])] = &[
    // No packet, raw, AF_XDP or other socket is opened any more; getaddrinfo asks by UNIX and netlink.
    (
        libc::SYS_socket,
        0,
        &[libc::AF_INET as u64, libc::AF_INET6 as u64, libc::AF_UNIX as u64, libc::AF_NETLINK as u64],
    ),
    // Looking up, changing and removing entries of maps that are open: the XDP program's endpoints and
    // counters. Nothing is loaded or attached.
    (libc::SYS_bpf, 0, &[BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM]),
    // A terminal is asked for, a socket made non-blocking or asked what it holds (by the resolver), an
    // interface's flags read, and its driver's counters: what sets anything takes CAP_NET_ADMIN, which is gone.
    (libc::SYS_ioctl, 1, &[TCGETS, FIONBIO, FIOCLEX, FIONREAD, SIOCGIFFLAGS, SIOCETHTOOL]),
    // Threads have names; the auxiliary vector says what the CPU can do.
    (libc::SYS_prctl, 0, &[libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, PR_GET_AUXV]),
    // Limits are read, of this process; a stack's size is one.
    (libc::SYS_prlimit64, 2, &[0]),
];

const BPF_MAP_LOOKUP_ELEM: u64 = 1;
const BPF_MAP_UPDATE_ELEM: u64 = 2;
const BPF_MAP_DELETE_ELEM: u64 = 3;
const PR_GET_AUXV: u64 = 0x4155_5856;
const TCGETS: u64 = 0x5401;
const FIOCLEX: u64 = 0x5451;
const FIONBIO: u64 = 0x5421;
const FIONREAD: u64 = 0x541b;
const SIOCGIFFLAGS: u64 = 0x8913;
const SIOCETHTOOL: u64 = 0x8946;

/// What nothing in this program does on any path, and what an intruder does first.
const DEADLY: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
];

/// Installs both filters on every thread that there is; those that are started later inherit them.
/// The stricter answer of two filters counts.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn install() -> Result<(), String> {
    let cannot = |error: seccompiler::Error| {
        format!("cannot filter system calls: {error}; set process.seccomp = false to go without")
    };
    // The second one would not let another be installed.
    for program in programs().map_err(|error| cannot(error.into()))? {
        apply_filter_all_threads(&program).map_err(cannot)?;
    }
    Ok(())
}

fn programs() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let deadly = DEADLY.iter().map(|call| (*call, Vec::new())).collect();
    Ok([
        compile(deadly, SeccompAction::Allow, SeccompAction::KillProcess)?,
        compile(allowed()?, refused, SeccompAction::Allow)?,
    ])
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    others: SeccompAction,
    named: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let here = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, others, named, here)?.try_into()
}

fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    for (call, argument, values) in ALLOWED_WITH {
        let rule = |value: &u64| {
            let (length, equal) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
            // Linux's argument is 32 bits wide, or its upper half is of no meaning for these values.
            SeccompRule::new(vec![SeccompCondition::new(*argument, length, equal, *value)?])
        };
        rules.insert(*call, values.iter().map(rule).collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_and_deadly() {
        let allowed = allowed().unwrap();
        assert_eq!(allowed.len(), ALLOWED.len() + ALLOWED_HERE.len() + ALLOWED_WITH.len(), "one named twice");
        assert!(DEADLY.iter().all(|call| !allowed.contains_key(call)));
        for call in [libc::SYS_seccomp, libc::SYS_capset, libc::SYS_listen] {
            assert!(!allowed.contains_key(&call), "{call}");
        }
    }

    #[test]
    fn the_filters_compile() {
        let [deadly, allowed] = programs().unwrap();
        assert!(deadly.len() > DEADLY.len() && allowed.len() > ALLOWED.len());
    }
}
