//! What the worker gives up before it reads a byte of the file, for good: memory and processor time beyond its limits, all
//! files but the ones of its job and the system's libraries, the network, new processes, and doors into the kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules};
use media::{Job, Order};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What GStreamer, its plugins and the letters are read from.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc",
    "/var/cache/fontconfig",
    "/proc/self",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
    "/dev/urandom",
];

/// System calls that no job makes.
const GIVEN_UP: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kill,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_acct,
    libc::SYS_quotactl,
];

/// Why the process could not be confined; it then does nothing at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotConfined {
    #[error("limits: {0}")]
    Limits(#[from] rustix::io::Errno),
    #[error("files: {0}")]
    Files(#[from] landlock::RulesetError),
    #[error("no filter of system calls: {0}")]
    Filter(#[from] BackendError),
    #[error("the kernel takes no filter of system calls: {0}")]
    Kernel(#[from] seccompiler::Error),
}

/// Confines the process to its job. The working folder is the only place it may write to. A kernel without Landlock still
/// keeps the rest.
pub(crate) fn confine(order: &Order) -> Result<(), NotConfined> {
    let limits = [
        (Resource::As, order.memory),
        (Resource::Cpu, order.cpu_s.max(1)),
        (Resource::Fsize, order.output),
        (Resource::Nofile, 128),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    // Pictures can wait, patients cannot.
    let _ = nice(15);
    files(order)?;
    calls()
}

fn files(order: &Order) -> Result<(), NotConfined> {
    let abi = ABI::V3;
    let mut own: Vec<&Path> = vec![&order.input];
    match &order.job {
        Job::Salvage { references } => own.extend(references.iter().map(PathBuf::as_path)),
        Job::Export(export) => own.extend(export.font.parent()),
        _ => {}
    }
    let read = AccessFs::from_read(abi) & !AccessFs::Execute;
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        // Libraries are mapped for running, which is reading to Landlock; programs are not started anyway.
        .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(own, read))?
        .add_rules(path_beneath_rules(
            ["/dev/null", "."],
            AccessFs::from_all(abi) & !AccessFs::Execute,
        ))?
        .restrict_self()?;
    Ok(())
}

fn calls() -> Result<(), NotConfined> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = GIVEN_UP.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    refused.extend([libc::SYS_fork, libc::SYS_vfork].map(|call| (call, Vec::new())));
    // Threads yes, processes no.
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let process = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)?;
    refused.insert(libc::SYS_clone, vec![SeccompRule::new(vec![process])?]);
    apply(refused, libc::EPERM)?;
    // Its flags lie in memory, where a filter cannot look; the C library takes `clone` when there is no `clone3`.
    apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn apply(refused: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int) -> Result<(), NotConfined> {
    let filter = SeccompFilter::new(
        refused,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}
