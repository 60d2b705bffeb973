//! What keeps keys inside the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// What could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guarded {
    /// Memory is never written to swap.
    pub memory_locked: bool,
    /// No core dump, no ptrace by the same user.
    pub no_dumps: bool,
}

/// No core dumps, no tracing by other processes of the user, no swapping. To be called first, before any key is read.
#[must_use]
pub fn harden() -> Guarded {
    let no_core = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .is_ok();
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    let memory_locked = lock_memory().is_ok();
    let kept = if memory_locked {
        MemoryLock::Holds
    } else {
        MemoryLock::Never
    };
    LOCK.store(kept as u8, Ordering::SeqCst);
    Guarded {
        memory_locked,
        no_dumps: no_core && not_dumpable,
    }
}

/// How the memory of this process is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLock {
    /// [`harden`] could not lock it, which was said then; secrets are not kept between acts.
    Never,
    /// Out of swap.
    Holds,
    /// It was locked and is not any more: nothing is signed until it holds again.
    Lost,
}

static LOCK: AtomicU8 = AtomicU8::new(MemoryLock::Never as u8);

/// How the memory of this process is kept.
#[must_use]
pub fn memory_lock() -> MemoryLock {
    match LOCK.load(Ordering::SeqCst) {
        kept if kept == MemoryLock::Holds as u8 => MemoryLock::Holds,
        kept if kept == MemoryLock::Lost as u8 => MemoryLock::Lost,
        _ => MemoryLock::Never,
    }
}

/// Locks memory that [`harden`] had locked once more. What it comes to is what [`memory_lock`] says from then on.
pub fn lock_again() -> std::io::Result<()> {
    let locked = lock_memory();
    let kept = if locked.is_ok() {
        MemoryLock::Holds
    } else {
        MemoryLock::Lost
    };
    LOCK.store(kept as u8, Ordering::SeqCst);
    locked
}

/// Keeps all memory out of swap, what is there and what will be.
fn lock_memory() -> std::io::Result<()> {
    // ONFAULT: pages are locked as they are used, so that reserved stacks do not become resident.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    Ok(mlockall(flags)?)
}

/// System calls that this process never makes: starting programs, looking into other processes, changing what is mounted
/// or which kernel runs, and doors into the kernel that only attackers need here.
const GIVEN_UP: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
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
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_acct,
    libc::SYS_quotactl,
];

/// Why the process could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum NotConfined {
    /// No filter can be made for this processor.
    #[error("no filter of system calls: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("the kernel takes no filter of system calls: {0}")]
    Kernel(#[from] seccompiler::Error),
}

/// Gives up, for all threads and for good, the system calls of [`GIVEN_UP`]: they fail with `EPERM`. Gives up new
/// privileges as well. A thief who gets code to run in here can neither start a program nor reach into another.
pub fn confine() -> Result<(), NotConfined> {
    let refused: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
        GIVEN_UP.iter().map(|call| (*call, Vec::new())).collect();
    let filter = seccompiler::SeccompFilter::new(
        refused,
        seccompiler::SeccompAction::Allow,
        seccompiler::SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: seccompiler::BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}
