"""A sink on bare generated stubs, one instance at a time: refuses a sender, fails at another, stamps a header field."""
import logging
import sys
from concurrent import futures

import grpc
from postern.v1 import content_pb2, describe_pb2, edit_pb2, event_pb2, message_pb2, sink_pb2, sink_pb2_grpc, verdict_pb2

INTERESTS = [
    describe_pb2.EventInterest(event=event_pb2.EVENT_KIND_INBOUND_MAIL),
    describe_pb2.EventInterest(event=event_pb2.EVENT_KIND_INBOUND_MESSAGE,
                               body=content_pb2.BodyDepth(full=content_pb2.FullBody())),
]
PROCEED = verdict_pb2.Decision(proceed=verdict_pb2.Proceed())
REFUSED = message_pb2.Reply(code=550, enhanced_code=b"5.7.1", lines=[b"No robots"])


class Sink(sink_pb2_grpc.EventSinkServicer):
    def Describe(self, request, context):
        return describe_pb2.DescribeResponse(name="one-at-a-time", version="1.0", protocol_version=1,
                                             events=INTERESTS, grants=["headers:X-*"])

    def Attach(self, requests, context):
        size = 0  # of the body, as it comes in
        for frame in requests:
            which, verdict = frame.WhichOneof("kind"), None
            if which == "event" and frame.event.HasField("deadline"):  # without one, nobody waits
                verdict = verdict_pb2.Verdict(event_id=frame.event.event_id, decision=PROCEED)
                if frame.event.WhichOneof("kind") == "inbound_message":
                    size, verdict = 0, None  # answered when its content has come
                elif frame.event.inbound_mail.envelope.reverse_path.startswith(b"fault@"):
                    raise RuntimeError("as the test wants it")  # ends the stream, the gateway opens another
                elif frame.event.inbound_mail.envelope.reverse_path.startswith(b"robot@"):
                    verdict.decision.reject.reply.CopyFrom(REFUSED)
            elif which == "content":
                size += len(frame.content.octets)
                if frame.content.HasField("ended"):
                    stamp = edit_pb2.SetHeader(name=b"X-Body-Size", value=b"%d" % size)
                    verdict = verdict_pb2.Verdict(event_id=frame.content.event_id, decision=PROCEED,
                                                  edits=[edit_pb2.Edit(set_header=stamp)])
            elif which == "heartbeat":
                yield sink_pb2.AttachResponse(heartbeat=frame.heartbeat)
            elif which == "close_instance" and frame.close_instance.detail:
                logging.error("the gateway: %s", frame.close_instance.detail)  # what this sink did wrong
            if verdict is not None:
                yield sink_pb2.AttachResponse(instance_id=frame.instance_id, verdict=verdict)


logging.basicConfig()  # without it an exception in Attach prints nothing
server = grpc.server(futures.ThreadPoolExecutor(max_workers=100))  # a thread a stream: one instance each
sink_pb2_grpc.add_EventSinkServicer_to_server(Sink(), server)
print("port", server.add_insecure_port(sys.argv[1]), flush=True)
server.start()
server.wait_for_termination()
