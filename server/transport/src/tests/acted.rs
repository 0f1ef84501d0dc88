//! What sinks do to the queue of their own accord.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postern_dispatch::actor::{Act, Actor as _, Found};
use postern_events::action::{Action, Deed, LookUp};
use postern_events::plan::{BindingSpec, Plan, PlanSpec, ServerSpec, SinkSpec};
use postern_spool::Stage;

use super::stage::{Play, Script};
use crate::Agent;
use postern_delivery::testing::peer::Peer;

/// A plan of one binding that may do this: for one virtual server, or for all.
fn plan(may: &str, server: &str, one: bool) -> Arc<Plan> {
    let spec = PlanSpec {
        servers: vec![ServerSpec::new(server)],
        sinks: vec![SinkSpec {
            name: "sandbox".to_owned(),
            endpoints: vec!["unix:/s".to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: Some(vec!["inbound.connect".to_owned()]),
            may: Some(vec![may.to_owned()]),
            servers: one.then(|| server.to_owned()).into_iter().collect(),
            ..BindingSpec::new("b", "sandbox")
        }],
    };
    Arc::new(Plan::build(spec, &HashMap::new()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_destination_is_shown_to_who_serves_all_virtual_servers() {
    let peer = Peer::with(&[]);
    peer.goes_down(true);
    let play = Play::new(&peer, Script::default());
    let message = play
        .accept_at(Stage::Deliver, &["a@example.test"], |_| {})
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let agent = Agent::new(&play.handle);
    for (one, queued) in [(false, 1), (true, 0)] {
        let plan = plan("act:look", &message.server, one);
        let act = Act {
            action: Action {
                key: String::new(),
                reason: String::new(),
                deed: Deed::LookUp(LookUp::Destination("smtp://one.test:25".to_owned())),
            },
            binding: Arc::clone(&plan.bindings()[0]),
            plan,
        };
        let found = agent.act(act).await.found;
        let Some(Found::Link(link)) = found else {
            panic!("no link");
        };
        assert_eq!(link.queued, queued);
        assert_eq!(link.reason.is_empty(), one);
    }
}
