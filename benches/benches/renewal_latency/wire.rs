//! A TCP connection over loopback, both ends: so that a turn can have its real reads and writes.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

pub struct Wire {
    client: TcpStream,
    server: TcpStream,
}

impl Wire {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("loopback");
        let (server, _) = listener.accept().expect("it connected");
        for end in [&client, &server] {
            end.set_nodelay(true).expect("a socket");
        }
        Self { client, server }
    }

    /// The client's write: not the server's time.
    pub fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).expect("room");
    }

    /// The server's read of what is there; loopback has delivered what was sent.
    pub fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> &'b [u8] {
        let count = self.server.read(buffer).expect("something was sent");
        &buffer[..count]
    }

    /// The server's write.
    pub fn answer(&mut self, bytes: &[u8]) {
        self.server.write_all(bytes).expect("room");
    }

    /// The client's read of an answer of this many bytes.
    pub fn take(&mut self, bytes: &mut [u8]) {
        self.client.read_exact(bytes).expect("it was sent");
    }
}
