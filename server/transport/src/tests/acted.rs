//! What sinks do to the queue of their own accord.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postern_dispatch::actor::{Act, Actor as _};
use postern_events::action::{Action, Deed, QueueChange, Status};
use postern_events::plan::{BindingSpec, Plan, PlanSpec, ServerSpec, SinkSpec};
use postern_spool::Stage;

use super::stage::{Play, Script};
use crate::Agent;
use postern_delivery::testing::peer::Peer;

#[tokio::test(start_paused = true)]
async fn an_action_that_could_not_be_done_leaves_its_key() {
    let peer = Peer::with(&[]);
    let play = Play::new(&peer, Script::default());
    let later = Duration::from_secs(3600);
    let message = play
        .accept_due(later, Stage::Deliver, &["a@example.test"], |_| {})
        .await;
    let spec = PlanSpec {
        servers: vec![ServerSpec::new(message.server.clone())],
        sinks: vec![SinkSpec {
            name: "sandbox".to_owned(),
            endpoints: vec!["unix:/s".to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: Some(vec!["inbound.connect".to_owned()]),
            may: Some(vec!["act:queue".to_owned()]),
            ..BindingSpec::new("b", "sandbox")
        }],
    };
    let plan = Arc::new(Plan::build(spec, &HashMap::new()).unwrap());
    let expire = || Act {
        action: Action {
            key: "k".to_owned(),
            reason: String::new(),
            deed: Deed::Change {
                messages: vec![message.id],
                recipients: Vec::new(),
                change: QueueChange::Expire(None),
            },
        },
        binding: Arc::clone(&plan.bindings()[0]),
        plan: Arc::clone(&plan),
    };
    let agent = Agent::new(&play.handle);
    // Its sender cannot be told.
    play.damage_contents();
    for _ in 0..2 {
        let outcome = agent.act(expire()).await.outcome;
        assert_eq!(outcome.status, Status::Failed, "{}", outcome.detail);
    }
}
