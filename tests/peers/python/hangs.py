"""A sink on bare generated stubs, one instance at a time, that takes a question and never answers."""
import sys
import threading
from concurrent import futures

import grpc
from postern.v1 import describe_pb2, sink_pb2_grpc


class Sink(sink_pb2_grpc.EventSinkServicer):
    def Describe(self, request, context):
        return describe_pb2.DescribeResponse(name="hangs", version="1.0", protocol_version=1)

    def Attach(self, requests, context):
        for frame in requests:
            if frame.WhichOneof("kind") == "event" and frame.event.HasField("deadline"):
                threading.Event().wait()  # neither answers nor reads on nor notices the end of the stream
        yield from ()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=1000))  # a thread a stream, each lost to one question
sink_pb2_grpc.add_EventSinkServicer_to_server(Sink(), server)
print("port", server.add_insecure_port(sys.argv[1]), flush=True)
server.start()
server.wait_for_termination()
