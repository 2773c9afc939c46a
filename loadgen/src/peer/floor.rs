//! A bare TCP echo server on epoll: what moving the bytes alone costs.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::Ipv4Addr,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::io::READ_BYTES_MAX;

const LISTENER: Token = Token(0);
/// Events of one poll.
const EVENT_COUNT_MAX: usize = 1_024;

/// One client. `written..` of `outbox` is still to be sent.
struct Client {
    stream: TcpStream,
    outbox: Vec<u8>,
    written: usize,
}

/// Serves a free loopback port, says which, until the process is ended.
///
/// # Errors
/// As [`serve`].
pub fn run() -> io::Result<()> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("ready tcp={}", listener.local_addr()?);
    serve(listener)
}

/// Serves `listener` until the process is ended.
///
/// # Errors
/// When the listener or the poll fails; a client that fails is dropped.
pub fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut clients = HashMap::new();
    let mut next_index = LISTENER.0 + 1;
    let mut inbox = vec![0; READ_BYTES_MAX];
    let mut events = Events::with_capacity(EVENT_COUNT_MAX);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            if event.token() != LISTENER {
                let echoed = clients.get_mut(&event.token()).map(|client| echo(client, &mut inbox));
                if matches!(echoed, Some(Err(_))) {
                    clients.remove(&event.token());
                }
                continue;
            }
            while let Some(mut stream) = accept(&listener)? {
                stream.set_nodelay(true)?;
                let token = Token(next_index);
                next_index += 1;
                poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                clients.insert(token, Client { stream, outbox: Vec::new(), written: 0 });
            }
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads and writes until the kernel has no more bytes, or no more room.
fn echo(client: &mut Client, inbox: &mut [u8]) -> io::Result<()> {
    loop {
        while client.written < client.outbox.len() {
            match client.stream.write(&client.outbox[client.written..]) {
                Ok(count) => client.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        client.outbox.clear();
        client.written = 0;
        let room = inbox.len();
        match client.stream.read(&mut inbox[..room]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                // The usual case takes one write and no copy.
                let taken = match client.stream.write(&inbox[..count]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    taken => taken?,
                };
                client.outbox.extend_from_slice(&inbox[taken..count]);
                // A short read has emptied the kernel's buffer; the next bytes make a new event.
                if count < room && client.outbox.is_empty() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
