//! Whether a sink is asked about what it put in itself.

use std::sync::Arc;

use postern_message::{AttemptId, Injected, RecipientId};

use crate::context::{Context, MessageContext};
use crate::judge::fires;
use crate::question::Question;
use crate::testing;
use crate::transport::{Categorize, Expand, LocalDelivery, Submit};

#[test]
fn a_sink_is_not_asked_about_its_own_messages_but_looks_up_what_it_alone_knows() {
    let mut message = testing::stored();
    let recipient = RecipientId::new();
    message.injected = Some(Injected {
        sink: "sink".to_owned(),
        binding: "binding".to_owned(),
        depth: 1,
        parent: None,
    });
    let context = Context::from(MessageContext::new(Arc::new(message)).unwrap());
    let submit = Question::new(Submit);
    let lookups = [
        Question::new(Categorize {
            recipients: vec![recipient],
            sender_too: false,
        }),
        Question::new(Expand {
            recipient,
            is_local: true,
            depth: 0,
            page_token: bytes::Bytes::new(),
        }),
        Question::new(LocalDelivery {
            recipients: vec![recipient],
            attempt: AttemptId::new(),
        }),
    ];
    let mut binding = testing::binding(&[]);
    assert!(!fires(&binding, &context, &submit).unwrap());
    for lookup in &lookups {
        assert!(
            fires(&binding, &context, lookup).unwrap(),
            "{:?}",
            lookup.kind()
        );
    }
    binding.asks_about_own = true;
    assert!(fires(&binding, &context, &submit).unwrap());
}
