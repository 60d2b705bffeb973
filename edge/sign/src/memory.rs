//! Memory that is given back: code that only the start and the self-test needed, and what the heap no longer holds.
//!
//! [`crate::guard::harden`] locks all memory, for there is no call that locks secrets alone. The program's code is no
//! secret: locked, those fifteen megabytes could never be used by anybody else, however seldom they run. So its lock is
//! taken off and its pages are let go; what runs again comes back from the program's file.
//!
//! The heap is another matter. Five hundred connections leave some 17 MiB of free pages between those in use; the C
//! library lets such pages go by a call that the kernel refuses on locked ones. The lock is taken off for the
//! milliseconds of that call, and only where nothing can be written to swap meanwhile because the machine has none:
//! elsewhere the heap keeps its pages until the process ends. Should the lock not be had again (a limit that was lowered,
//! or passed meanwhile), [`guard::memory_lock`] says so from that moment on, and signing stops until it is.

use std::ffi::c_void;
use std::ops::Range;

use rustix::mm::{Advice, madvise, munlock};

use crate::guard::{self, MemoryLock};

/// Gives it back; to be called after what is done rarely. Blocks for some milliseconds.
pub fn give_back() -> std::io::Result<()> {
    give_back_heap()?;
    let program = std::fs::read_link("/proc/self/exe")?;
    let program = program.to_string_lossy();
    for code in mapped(|line| code_of(line, &program))? {
        let start: *mut c_void = std::ptr::with_exposed_provenance_mut(code.start);
        let length = code.end - code.start;
        // SAFETY: `code` is a mapping of the running program's own file, private, executable and not writable. It is
        // there until the process ends, so nothing else can have taken its place. Nobody has written to it, so that its
        // pages are those of the file, which cannot be written while it runs: a page that is let go is read again from
        // there, at the next touch, with the same bytes. No object of the program lives in it but constants.
        #[expect(unsafe_code, reason = "the kernel is told about addresses")]
        unsafe {
            munlock(start, length)?;
            madvise(start, length, Advice::LinuxDontNeed)?;
        }
    }
    Ok(())
}

fn give_back_heap() -> std::io::Result<()> {
    let locked = guard::memory_lock() == MemoryLock::Holds;
    if locked && !has_no_swap() {
        return Ok(());
    }
    if locked {
        for heap in mapped(heap_of)? {
            let start: *mut c_void = std::ptr::with_exposed_provenance_mut(heap.start);
            // SAFETY: takes a lock off pages and changes nothing in them. A mapping that another thread has given up
            // since it was listed is an error that says so, and one that took its place is locked again below.
            #[expect(unsafe_code, reason = "the kernel is told about addresses")]
            let _ = unsafe { munlock(start, heap.end - heap.start) };
        }
    }
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: takes its own locks and touches nothing that is allocated.
        #[expect(unsafe_code, reason = "a call of the C library")]
        unsafe {
            libc::malloc_trim(0);
        }
    }
    if locked {
        guard::lock_again()?;
    }
    Ok(())
}

/// Whether nothing can be swapped out on this machine.
fn has_no_swap() -> bool {
    // A line of headings, then one for each area.
    std::fs::read_to_string("/proc/swaps").is_ok_and(|areas| areas.lines().count() <= 1)
}

/// Addresses of the mappings of this process that are meant.
fn mapped(meant: impl Fn(&str) -> Option<Range<usize>>) -> std::io::Result<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Ok(maps.lines().filter_map(meant).collect())
}

/// The addresses of a line of `maps`, when it is memory of nobody's file: where heaps are.
fn heap_of(line: &str) -> Option<Range<usize>> {
    let mut fields = line.splitn(6, ' ');
    let (addresses, rights) = (fields.next()?, fields.next()?);
    let name = fields.nth(3).unwrap_or_default().trim_start();
    if rights != "rw-p" || !matches!(name, "" | "[heap]") {
        return None;
    }
    range(addresses)
}

/// The addresses of a line of `maps`, when it is code of this file.
fn code_of(line: &str, program: &str) -> Option<Range<usize>> {
    // `55d0c8a00000-55d0c99dd000 r-xp 00200000 fe:00 1048 /usr/bin/signd`, the name filled up from the left.
    let mut fields = line.splitn(6, ' ');
    let (addresses, rights) = (fields.next()?, fields.next()?);
    if rights != "r-xp" || fields.nth(3)?.trim_start() != program {
        return None;
    }
    range(addresses)
}

fn range(addresses: &str) -> Option<Range<usize>> {
    let (start, end) = addresses.split_once('-')?;
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    let (start, end) = (address(start)?, address(end)?);
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_meant() {
        let line = |rights: &str, name: &str| format!("1000-3000 {rights} 00200000 fe:00 1048                {name}");
        assert_eq!(
            code_of(&line("r-xp", "/usr/bin/signd"), "/usr/bin/signd"),
            Some(0x1000..0x3000)
        );
        assert_eq!(
            code_of(&line("r-xp", "/a b/signd (deleted)"), "/a b/signd (deleted)"),
            Some(0x1000..0x3000)
        );
        for (rights, name) in [
            ("r--p", "/usr/bin/signd"),
            ("rw-p", "/usr/bin/signd"),
            ("rwxp", "/usr/bin/signd"),
            ("r-xs", "/usr/bin/signd"),
            ("r-xp", "/usr/lib/signd"),
            ("r-xp", "[vdso]"),
            ("r-xp", ""),
        ] {
            assert_eq!(code_of(&line(rights, name), "/usr/bin/signd"), None, "{rights} {name}");
        }
        for broken in ["", "1000", "1000-3000 r-xp", "3000-1000 r-xp 0 fe:00 1 /usr/bin/signd"] {
            assert_eq!(code_of(broken, "/usr/bin/signd"), None, "{broken}");
        }
    }

    #[test]
    fn heaps_are_memory_of_nobodys_file() {
        let line = |rights: &str, name: &str| format!("1000-3000 {rights} 00000000 00:00 0                {name}");
        assert_eq!(heap_of(&line("rw-p", "[heap]")), Some(0x1000..0x3000));
        assert_eq!(heap_of("1000-3000 rw-p 00000000 00:00 0 "), Some(0x1000..0x3000));
        for (rights, name) in [
            ("r-xp", ""),
            ("---p", ""),
            ("rw-s", ""),
            ("rw-p", "[stack]"),
            ("rw-p", "/usr/bin/signd"),
        ] {
            assert_eq!(heap_of(&line(rights, name)), None, "{rights} {name}");
        }
    }

    #[test]
    fn the_program_goes_on_with_less() {
        let resident = || -> u64 {
            let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
            let program = std::fs::read_link("/proc/self/exe").expect("program");
            let program = program.to_string_lossy();
            let mut lines = smaps.lines().skip_while(|line| code_of(line, &program).is_none());
            let line = lines.find_map(|line| line.strip_prefix("Rss:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            kib.expect("resident code").parse().expect("a number")
        };
        let before = resident();
        give_back().expect("given back");
        let after = resident();
        assert!(after < before, "{after} KiB after {before} KiB");
        assert_eq!(gm::sm3(b"abc"), gm::sm3(b"abc"), "code comes back as it is needed");
    }
}
