//! What a session has counted.

/// Counts of one session since its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Command lines taken.
    pub commands: u64,
    /// Commands refused with 5xx.
    pub errors: u32,
    /// AUTH exchanges that ended with 535 or 454.
    pub failed_authentications: u32,
    /// Replies of the 4xx and 5xx classes.
    pub refusals: u32,
    /// RCPT commands refused with 4xx or 5xx.
    pub refused_recipients: u32,
    /// Command lines that were no known command or broke the grammar, too long ones included.
    pub syntax_errors: u32,
    /// Commands that did nothing.
    pub junk_commands: u32,
    /// Commands that did nothing, since the last accepted message.
    pub junk: u32,
    /// Accepted MAIL commands.
    pub transactions: u32,
    /// Messages accepted with 2xx (LMTP: for one recipient at least).
    pub messages: u32,
    /// Messages refused after their content.
    pub messages_refused: u32,
    /// Octets of content taken, refused content included.
    pub content_octets: u64,
    /// Commands with more input behind them though they must end a group, or before pipelining was offered.
    pub pipelining_violations: u32,
    /// Bytes came before the greeting.
    pub early_talker: bool,
}

impl Counters {
    /// A command that moves no mail.
    pub(super) const fn count_junk(&mut self) {
        self.junk += 1;
        self.junk_commands += 1;
    }
}
