"""Nodes: what people ask of them, and what they and their hubs say themselves."""

import base64
from collections.abc import Iterator, Sequence

import msgspec

from headway.client.wire import Wire, segment
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Enrolment, Report
from headway.model.rollout import NodeState
from headway.model.views import NodeHoldRequest, NodeStatus, Packet, PinRequest, Problem


class Nodes(Wire):
    """What people ask of nodes, and what nodes and hubs ask of the control plane."""

    def nodes(
        self, app: str | None = None, tier: str | None = None, state: NodeState | None = None
    ) -> list[NodeStatus]:
        """Every node, or those of one app, tier or state. [GET /v1/nodes, viewer]"""
        wanted = {"app": app, "tier": tier, "state": state}
        return list(self.each("/v1/nodes", NodeStatus, wanted))

    def node(self, node: str) -> list[NodeStatus]:
        """One node, once for each of its apps. [GET /v1/nodes/{node}, viewer]"""
        return self.call("GET", f"/v1/nodes/{segment(node)}", list[NodeStatus])

    def hold_node(self, node: str, request: NodeHoldRequest) -> list[NodeStatus]:
        """Keep a node as it is. [PUT /v1/nodes/{node}/hold, deployer]"""
        return self.call("PUT", f"/v1/nodes/{segment(node)}/hold", list[NodeStatus], request)

    def unhold_node(self, node: str) -> list[NodeStatus]:
        """Let a node follow the signal again. [DELETE /v1/nodes/{node}/hold, deployer]"""
        return self.call("DELETE", f"/v1/nodes/{segment(node)}/hold", list[NodeStatus])

    def pin_node(self, node: str, app: str, request: PinRequest) -> list[NodeStatus]:
        """Pin a node to one build of an app. [PUT /v1/nodes/{node}/pins/{app}, deployer]"""
        path = f"/v1/nodes/{segment(node)}/pins/{segment(app)}"
        return self.call("PUT", path, list[NodeStatus], request)

    def unpin_node(self, node: str, app: str) -> list[NodeStatus]:
        """Take a node's pin away. [DELETE /v1/nodes/{node}/pins/{app}, deployer]"""
        path = f"/v1/nodes/{segment(node)}/pins/{segment(app)}"
        return self.call("DELETE", path, list[NodeStatus])

    def verify_node(self, node: str, app: str) -> list[NodeStatus]:
        """Ask a node to read again all it holds. [POST /v1/nodes/{node}/verify/{app}, deployer]"""
        path = f"/v1/nodes/{segment(node)}/verify/{segment(app)}"
        return self.call("POST", path, list[NodeStatus])

    def forget_node(self, node: str) -> None:
        """Strike a node off the fleet. [DELETE /v1/nodes/{node}, admin]"""
        self.send("DELETE", f"/v1/nodes/{segment(node)}")

    def enrol(self, enrolment: Enrolment) -> None:
        """Present a node; the token must be that node's. [POST /v1/node/enrol, node]"""
        self.send("POST", "/v1/node/enrol", body=enrolment)

    def watch(self, apps: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Each key and signed envelope as it changes, until the connection ends.
        [GET /v1/node/watch, node]
        """
        with self.stream("/v1/node/watch", {"apps": ",".join(apps)}) as events:
            for event in events:
                update = msgspec.json.decode(event.data, type=_Update)
                yield update.key, base64.b64decode(update.value)

    def report(self, reports: Sequence[Report]) -> None:
        """Hand in reports; on return they are durable. [POST /v1/node/reports, node]"""
        self.send("POST", "/v1/node/reports", body=list(reports))

    def find_peer(self, ask: PeerAsk) -> PeerAnswer:
        """Where the node is to get a build. [POST /v1/node/peers, node]"""
        return self.call("POST", "/v1/node/peers", PeerAnswer, body=ask)

    def pass_on(self, packets: Sequence[Packet]) -> list[Problem | None]:
        """Hand in what many nodes have reported to a hub. [POST /v1/hub/reports, public]"""
        encoded = msgspec.json.encode(list(packets))
        return self.call("POST", "/v1/hub/reports", list[Problem | None], body=encoded)


class _Update(msgspec.Struct):
    key: str
    value: str
