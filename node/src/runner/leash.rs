//! The node's end of the pipe by which a process ends with its parent.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// Why the parent cannot be watched; the process should not start, because it might never be stopped.
#[derive(Debug, thiserror::Error)]
pub enum ParentPipeError {
    /// No such descriptor was inherited: leave `--parent-pipe` to programs that start nodes.
    #[error("open the inherited descriptor {fd}")]
    Open {
        /// The descriptor.
        fd: i32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The descriptor is a file, a terminal or the like, whose end says nothing about the parent.
    #[error("watch descriptor {fd}, which is not a pipe")]
    NotAPipe {
        /// The descriptor.
        fd: i32,
    },
    /// The system gave no thread; trying again may help.
    #[error("start the thread that watches the parent")]
    Thread(#[source] io::Error),
}

/// Ends this process when the inherited pipe `fd` reaches its end: SIGTERM to itself, so that it stops as it does for
/// an operator, and SIGKILL where it has not ended after [`LAST_WORDS`].
///
/// The descriptor is opened a second time through `/dev/fd`, which takes no ownership of the first.
pub fn watch_parent(fd: i32) -> Result<(), ParentPipeError> {
    let pipe = File::open(format!("/dev/fd/{fd}")).map_err(|source| ParentPipeError::Open { fd, source })?;
    let kind = pipe.metadata().map_err(|source| ParentPipeError::Open { fd, source })?.file_type();
    if !kind.is_fifo() {
        return Err(ParentPipeError::NotAPipe { fd });
    }
    thread::Builder::new()
        .name("parent-watch".to_owned())
        .spawn(move || {
            wait_for_end(pipe);
            end_this_process();
        })
        .map_err(ParentPipeError::Thread)?;
    Ok(())
}

/// Returns at end-of-file, and at an error, after which the end could not be noticed.
fn wait_for_end(mut pipe: File) {
    let mut ignored = [0; 64];
    loop {
        match pipe.read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "the pipe to the parent process cannot be read");
                return;
            }
        }
    }
}

fn end_this_process() {
    tracing::warn!("the parent process is gone: stopping");
    for signal in [Signal::TERM, Signal::KILL] {
        if let Err(error) = kill_process(getpid(), signal) {
            tracing::error!(%error, ?signal, "a process could not signal itself");
        }
        thread::sleep(LAST_WORDS);
    }
}

/// What a node needs for announcing that it stops and for closing its stores, with room to spare; a guess.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn only_a_pipe_says_when_the_parent_ends() {
        let file = tempfile::tempfile().expect("a file");
        let error = watch_parent(file.as_raw_fd()).expect_err("a file is no pipe");
        assert!(matches!(error, ParentPipeError::NotAPipe { .. }), "{error:?}");

        let error = watch_parent(1_000_000).expect_err("no such descriptor");
        assert!(matches!(error, ParentPipeError::Open { fd: 1_000_000, .. }), "{error:?}");
    }

    #[test]
    fn data_does_not_end_the_wait_and_the_end_does() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let waiting = thread::spawn(move || wait_for_end(File::from(std::os::fd::OwnedFd::from(reader))));
        io::Write::write_all(&mut writer, &[7; 200]).expect("room in the pipe");
        assert!(!waiting.is_finished());
        drop(writer);
        waiting.join().expect("the wait ends with the last writer");
    }
}
