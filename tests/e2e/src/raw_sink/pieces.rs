//! The pieces of HTTP/2 (RFC 9113) and gRPC: numbers, frames, header blocks and messages.

/// Types of frames.
pub mod kind {
    /// Octets of a body.
    pub const DATA: u8 = 0;
    /// A header section, or its beginning.
    pub const HEADERS: u8 = 1;
    /// A stream is given up.
    pub const RST_STREAM: u8 = 3;
    /// Parameters of the connection.
    pub const SETTINGS: u8 = 4;
    /// A stream that the server begins.
    pub const PUSH_PROMISE: u8 = 5;
    /// A sign of life.
    pub const PING: u8 = 6;
    /// The connection is given up.
    pub const GOAWAY: u8 = 7;
    /// Room for further octets.
    pub const WINDOW_UPDATE: u8 = 8;
    /// The rest of a header section.
    pub const CONTINUATION: u8 = 9;
}

/// Codes of errors.
pub mod code {
    /// None.
    pub const NO_ERROR: u32 = 0;
    /// Something inside.
    pub const INTERNAL_ERROR: u32 = 2;
    /// The stream was not looked at.
    pub const REFUSED_STREAM: u32 = 7;
    /// Nobody needs the stream.
    pub const CANCEL: u32 = 8;
    /// Too much of it.
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Flags of frames.
pub mod flag {
    /// The last frame of a stream.
    pub const END_STREAM: u8 = 1;
    /// The answer to settings or a sign of life.
    pub const ACK: u8 = 1;
    /// The header section is whole.
    pub const END_HEADERS: u8 = 4;
}

/// Identifiers of settings.
pub mod setting {
    /// Streams that the gateway may have open.
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    /// Octets that the gateway may send on a stream before it is given more room.
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut octets = length.to_be_bytes()[1..].to_vec();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// A message of gRPC behind its prefix; `compressed` is the prefix's first octet.
pub fn message(compressed: u8, octets: &[u8]) -> Vec<u8> {
    let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    let mut message = vec![compressed];
    message.extend(length.to_be_bytes());
    message.extend(octets);
    message
}

/// Header fields as literals that nobody is to remember (RFC 7541, 6.2.2).
pub fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer behind one bit (RFC 7541, 5.1).
fn integer(block: &mut Vec<u8>, mut number: usize) {
    if number < 127 {
        block.push(number as u8);
        return;
    }
    block.push(127);
    number -= 127;
    while number >= 128 {
        block.push((number % 128 + 128) as u8);
        number /= 128;
    }
    block.push(number as u8);
}
