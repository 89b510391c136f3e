//! Errors of the operating system that say that this process or machine has used up something, and
//! nothing about the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::error::{Error, ErrorKind};

/// What to do about it, for a message.
pub(crate) const REMEDY: &str = "try again later; the limit on open files (ulimit -n) is too low, or \
     this program or machine has too much open";

/// Whether the process or the machine has no descriptor, memory or port left for another socket.
pub(crate) fn is(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(is_code)
}

/// An error with the system's own as its cause: of this kind, or [`ErrorKind::Overloaded`] with the
/// [`REMEDY`] if the cause is a shortage.
pub(crate) fn error(kind: ErrorKind, message: String, cause: io::Error) -> Error {
    let error = if is(&cause) {
        Error::new(ErrorKind::Overloaded, format!("{message} ({REMEDY})")).retryable_later()
    } else {
        Error::new(kind, message)
    };
    error.caused_by(cause)
}

/// Like [`is`], for a socket that was to be connected to `address`.
///
/// `EADDRNOTAVAIL` has two causes: all local ports are in use, or there is no local address from
/// which this one could be reached, such as `::1` without IPv6. A UDP socket needs the same local
/// address and a port of another kind. Connecting it sends nothing.
pub(crate) fn of_connecting(error: &io::Error, address: SocketAddr) -> bool {
    if error.kind() != io::ErrorKind::AddrNotAvailable {
        return is(error);
    }
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    match UdpSocket::bind(any).and_then(|socket| socket.connect(address)) {
        Ok(()) => true,
        Err(error) => is(&error),
    }
}

/// The error that opening a socket gives now, if it is one of those.
pub(crate) fn now() -> Option<io::Error> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err().filter(is)
}

/// Whether this is the code of such an error.
#[cfg(unix)]
pub(crate) fn is_code(code: i32) -> bool {
    // EAGAIN is what BSDs say for want of ports. Nothing here waits for a socket by that code.
    [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EAGAIN,
    ]
    .contains(&code)
}

/// Whether this is the code of such an error.
#[cfg(windows)]
pub(crate) fn is_code(code: i32) -> bool {
    const WSAEMFILE: i32 = 10024;
    const WSAENOBUFS: i32 = 10055;
    const WSA_NOT_ENOUGH_MEMORY: i32 = 8;
    [WSAEMFILE, WSAENOBUFS, WSA_NOT_ENOUGH_MEMORY].contains(&code)
}

/// Whether this is the code of such an error.
#[cfg(not(any(unix, windows)))]
pub(crate) fn is_code(_: i32) -> bool {
    false
}
