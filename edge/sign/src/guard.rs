//! What keeps keys inside the process.

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
    // ONFAULT: pages are locked as they are used, so that reserved stacks do not become resident.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    Guarded {
        memory_locked: mlockall(flags).is_ok(),
        no_dumps: no_core && not_dumpable,
    }
}
