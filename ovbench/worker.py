"""What runs inside a lane: opens contestants, reads back what they really are, times blocks of inferences.

Self-contained on purpose: the source of this one module is sent to any Python that has openvino and numpy, with or
without ovbench installed. It is also the one place that compiles models and reads their properties back; the package
uses the same functions in its own process through ``ovbench.runtime``.

Times are integers in nanoseconds from ``time.perf_counter_ns``; sample arrays travel as little-endian int64 bytes.
"""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import sys
import time
from array import array
from typing import Any

MIN_INFERENCES_PER_BLOCK = 3  # a median needs a middle
KNOWN_KERNELS = ("f32", "bf16", "f16", "i8")
BACKPROP_OPS = ("ConvolutionBackpropData", "GroupConvolutionBackpropData")  # transposed convolutions
MAC_OPS = ("Convolution", "GroupConvolution", *BACKPROP_OPS, "MatMul")


class Refusal(Exception):
    """OpenVINO would not do what was asked; the message is one line for the user."""


def import_openvino() -> Any:
    """Import openvino without its telemetry, which would fork a child and open a connection."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


# ------------------------------------------------------------------------------------------ compile and read back


def read_model(core: Any, path: str, shape: dict[str, list[int]] | None, batch: int) -> Any:
    """Read a model and give it a static shape.

    ``shape`` maps input names to dimensions ("" stands for the only input); ``batch`` > 0 replaces dimension 0. Where
    nothing but dimension 0 is dynamic it becomes 1.
    ``read_model`` + ``compile_model`` rather than ``compile_model(path)``: the latter's cache misses a changed .bin.
    """
    model = core.read_model(path)
    if shape:
        names = {name: port for port in model.inputs for name in port.get_names()}
        unknown = [name for name in shape if name and name not in names]
        if unknown:
            raise Refusal(f"no input named {unknown[0]!r} in {path}: it has {', '.join(sorted(names))}")
        if "" in shape and len(model.inputs) != 1:
            known = ", ".join(_input_name(port) for port in model.inputs)
            raise Refusal(f"{path} has {len(model.inputs)} inputs, {known}: give name[1,3,...] for each")
        model.reshape({(names[name] if name else model.input(0)): dims for name, dims in shape.items()})
    if batch:
        _set_batch(model, batch)
    free = [port for port in model.inputs if _only_batch_is_dynamic(port)]
    if free:
        model.reshape({port: [1, *list(port.get_partial_shape())[1:]] for port in free})
    dynamic = [port for port in model.inputs if port.get_partial_shape().is_dynamic]
    if dynamic:
        port = dynamic[0]
        raise Refusal(f"input {_input_name(port)!r} of {path} is dynamic, {port.get_partial_shape()}: give --ov-shape")
    return model


def _set_batch(model: Any, batch: int) -> None:
    """Give every input this batch; where the graph has it written down for one picture, free it there first."""
    shapes = {port: [batch, *list(port.get_partial_shape())[1:]] for port in model.inputs}
    try:
        model.reshape(shapes)
    except RuntimeError:
        _free_batch(model)
        model.reshape(shapes)


def _free_batch(model: Any) -> None:
    """Let every Reshape to ``[1, ...]`` find its first dimension by itself; for one picture that is 1 as before.

    Converters write ``[1, 1001]`` where they mean "as many rows as pictures", and OpenVINO then refuses another batch.
    """
    openvino = import_openvino()
    for node in model.get_ops():
        pattern = node.input_value(1).get_node() if node.get_type_name() == "Reshape" else None
        if pattern is None or pattern.get_type_name() != "Constant":
            continue
        wanted = [int(size) for size in pattern.get_data().reshape(-1)]
        if len(wanted) > 1 and wanted[0] == 1 and -1 not in wanted:
            free = openvino.opset13.constant([-1, *wanted[1:]], openvino.Type.i64)
            node.input(1).replace_source_output(free.output(0))
    model.validate_nodes_and_infer_types()


def _only_batch_is_dynamic(port: Any) -> bool:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) < 2 or not shape[0].is_dynamic:
        return False
    return not any(dimension.is_dynamic for dimension in list(shape)[1:])


def _input_name(port: Any) -> str:
    """The tensor's name; a nameless one has its node's."""
    return str(port.get_any_name() if port.get_names() else port.get_node().get_friendly_name())


def compile_model(core: Any, model: Any, device: str, properties: dict[str, str]) -> Any:
    """Compile with exactly these properties."""
    return core.compile_model(model, device, dict(properties))


def macs_by_layer(model: Any) -> dict[str, int]:
    """Multiply-accumulates of each convolution and matrix product, by friendly name; dynamic shapes count as 1."""
    macs: dict[str, int] = {}
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind not in MAC_OPS:
            continue
        if any(port.get_partial_shape().is_dynamic for port in (node.output(0), node.input(0), node.input(1))):
            macs[node.get_friendly_name()] = 1
            continue
        out = list(node.output(0).get_shape())
        weights = list(node.input(1).get_shape())
        if kind == "MatMul":
            left = list(node.input(0).get_shape())
            inner = left[-2] if node.get_attributes().get("transpose_a") and len(left) > 1 else left[-1]
            macs[node.get_friendly_name()] = _product(out) * inner
        elif kind in BACKPROP_OPS:
            macs[node.get_friendly_name()] = _product(weights) * _product(list(node.input(0).get_shape())[2:]) * out[0]
        else:
            macs[node.get_friendly_name()] = _product(weights) * _product(out[2:]) * out[0]
    return macs


def _product(numbers: list[int]) -> int:
    result = 1
    for number in numbers:
        result *= int(number)
    return result


def kernel_precision(primitive_type: str) -> str:
    """The arithmetic that a kernel's name ends in: f32, bf16, f16, i8; all else is "unknown".

    ``runtimePrecision`` lies for compressed weights, ``primitiveType`` ("jit_avx2_I8") does not.
    """
    name, _, suffix = primitive_type.rpartition("_")
    suffix = suffix.lower()
    return suffix if suffix in KNOWN_KERNELS and name != "unknown" else "unknown"


def original_layers(info: Any) -> list[str]:
    """The model's layers whose work a node of the execution graph does, by its rt_info; fused ones are several."""
    names = str(info["originalLayersNames"].value) if "originalLayersNames" in info else ""
    return [name for name in names.split(",") if name]


def mac_shares(model: Any, compiled: Any) -> dict[str, float]:
    """Share of the model's MACs that ran in each kernel precision, largest first; sums to 1, {} without MAC layers."""
    macs = macs_by_layer(model)
    total = sum(macs.values())
    if not total:
        return {}
    left = dict(macs)
    shares: dict[str, int] = {}
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        if "primitiveType" not in info:
            continue
        mine = sum(left.pop(name, 0) for name in original_layers(info))
        if mine:
            kernel = kernel_precision(str(info["primitiveType"].value))
            shares[kernel] = shares.get(kernel, 0) + mine
    if left:  # layers that the execution graph does not name
        shares["unknown"] = shares.get("unknown", 0) + sum(left.values())
    return {kernel: count / total for kernel, count in sorted(shares.items(), key=lambda item: -item[1])}


def effective_config(model: Any, compiled: Any) -> dict[str, Any]:
    """What the compiled model says it does; a property that it does not have is None."""
    return {
        "hint": _read(compiled, "PERFORMANCE_HINT"),
        "streams": _read(compiled, "NUM_STREAMS"),
        "threads": _read(compiled, "INFERENCE_NUM_THREADS"),
        "optimal_requests": _read(compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS"),
        "inference_precision": _read(compiled, "INFERENCE_PRECISION_HINT"),
        "execution_mode": _read(compiled, "EXECUTION_MODE_HINT"),
        "pinning": _read(compiled, "ENABLE_CPU_PINNING"),
        "hyper_threading": _read(compiled, "ENABLE_HYPER_THREADING"),
        "device": _read(compiled, "EXECUTION_DEVICES"),
        "loaded_from_cache": _read(compiled, "LOADED_FROM_CACHE"),
        "mac_shares": mac_shares(model, compiled),
    }


def _read(compiled: Any, name: str) -> Any:
    try:
        value = compiled.get_property(name)
    except RuntimeError:  # this device or release does not know the property
        return None
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return ",".join(str(each) for each in value)
    if hasattr(value, "get_type_name"):
        return value.get_type_name()
    return str(getattr(value, "name", value))


def make_inputs(model: Any, seed: int) -> list[Any]:
    """One C-contiguous array per input, of its shape and type: floats in [0, 1), bytes 0-255, other integers 0 or 1.

    Raises Refusal for types that numpy has not, such as bf16: ``to_dtype`` gives a type of the same width for them.
    """
    import numpy as np

    openvino = import_openvino()
    rng = np.random.default_rng(seed)
    arrays = []
    for port in model.inputs:
        shape = tuple(port.get_shape())
        element = port.get_element_type()
        kind = None if element.is_dynamic() else np.dtype(element.to_dtype())
        if kind is None or openvino.Type(kind) != element:
            raise Refusal(f"input {_input_name(port)!r} is {element.get_type_name()}, which numpy has not: convert it")
        values: Any
        if kind.kind == "f":
            values = rng.random(shape, dtype=np.float32)
        elif kind == np.dtype(np.uint8):
            values = rng.integers(0, 256, shape)
        else:
            values = rng.integers(0, 2, shape)
        arrays.append(np.asarray(values).astype(kind, order="C"))  # ascontiguousarray would make a scalar a vector
    return arrays


# ------------------------------------------------------------------------------------------------- timing of blocks


class Compiled:
    """A model read and compiled as an order asks, with what it says of itself and how long both took."""

    def __init__(self, core: Any, order: dict[str, Any]) -> None:
        clock = time.perf_counter_ns
        start = clock()
        self.model = read_model(core, order["model"], order.get("shape"), int(order.get("batch") or 0))
        read = clock()
        self.compiled = compile_model(core, self.model, order["device"], order["properties"])
        self.compile_ns = clock() - read
        self.read_ns = read - start
        self.identity = self.identify(order)
        self.effective = effective_config(self.model, self.compiled)
        self.signature = [
            [port.get_any_name() if port.get_names() else "", list(port.get_shape()), str(port.get_element_type())]
            for port in self.model.inputs
        ]

    @staticmethod
    def identify(order: dict[str, Any]) -> tuple[Any, ...]:
        """Orders of one identity compile to the same: they differ at most in how blocks are run."""
        properties = tuple(sorted(order["properties"].items()))
        return (order["model"], order["device"], properties, repr(order.get("shape")), int(order.get("batch") or 0))


class Contestant:
    """A compiled model with preset input tensors, ready to run blocks."""

    def __init__(self, ready: Compiled, order: dict[str, Any]) -> None:
        openvino = import_openvino()
        self.ready = ready
        self.compiled = ready.compiled
        self.effective = dict(ready.effective)
        self.asynchronous = order["mode"] == "async"
        self.copies_inputs = order.get("inputs") == "copied"
        self.arrays = make_inputs(ready.model, int(order["seed"]))
        self.tensors = [openvino.Tensor(values) for values in self.arrays]
        if self.asynchronous:
            wanted = int(order.get("requests") or 0)
            self.queue = openvino.AsyncInferQueue(self.compiled, wanted)
            self.requests = [self.queue[index] for index in range(len(self.queue))]
        else:
            self.requests = [self.compiled.create_infer_request()]
        for request in self.requests:
            for index, tensor in enumerate(self.tensors):
                request.set_input_tensor(index, tensor)
        self.effective["requests"] = len(self.requests)
        start = time.perf_counter_ns()
        self.requests[0].infer()
        self.first_inference_ns = time.perf_counter_ns() - start

    def run_block(self, duration_ns: int) -> dict[str, Any]:
        """Run for ``duration_ns`` and a little more; first inference, fill and drain are left out of the samples."""
        gc.collect()
        gc.disable()
        switches, spent = _involuntary_switches(), time.process_time_ns()
        try:
            block = self._pipeline(duration_ns) if self.asynchronous else self._one_by_one(duration_ns)
        finally:
            gc.enable()
        block["cpu_ns"] = time.process_time_ns() - spent
        block["involuntary_switches"] = None if switches is None else (_involuntary_switches() or 0) - switches
        return block

    def _one_by_one(self, duration_ns: int) -> dict[str, Any]:
        request = self.requests[0]
        infer = request.infer
        wall, latency = array("q"), array("q")
        clock = time.perf_counter_ns
        copied = dict(enumerate(self.arrays)) if self.copies_inputs else None
        infer(copied, share_outputs=True)
        begin = clock()
        end = begin + duration_ns
        now = begin
        while now < end or len(wall) < MIN_INFERENCES_PER_BLOCK:
            if copied is None:
                start = clock()
                infer(share_outputs=True)
                now = clock()
            else:
                start = clock()
                infer(copied, share_outputs=True)
                now = clock()
            wall.append(now - start)
            latency.append(int(request.latency * 1e6))
        return {"wall_ns": _pack(wall), "latency_ns": _pack(latency), "window_ns": now - begin}

    def _pipeline(self, duration_ns: int) -> dict[str, Any]:
        """Keep every request in flight. ``wall_ns`` are the times between completions.

        The window starts and ends at a completion and holds a multiple of the number of requests: streams that finish
        in step would otherwise lend or lose one completion at its edges.
        """
        start_async, idle_request = self.queue.start_async, self.queue.get_idle_request_id
        requests, depth = self.requests, len(self.requests)
        wall, latency = array("q"), array("q")
        clock = time.perf_counter_ns
        for _ in range(depth):
            start_async()
        for _ in range(depth):
            idle_request()
            start_async()
        begin = last = clock()
        end = begin + duration_ns
        while True:
            done = requests[idle_request()]
            now = clock()
            wall.append(now - last)
            latency.append(int(done.latency * 1e6))
            start_async()
            last = now
            if now >= end and len(wall) >= MIN_INFERENCES_PER_BLOCK and len(wall) % depth == 0:
                break
        self.queue.wait_all()
        return {"wall_ns": _pack(wall), "latency_ns": _pack(latency), "window_ns": last - begin}

    def outputs(self, inputs: list[bytes]) -> list[dict[str, Any]]:
        """One inference on these inputs, C-order bytes of each: every output as shape and float32 bytes."""
        import numpy as np

        arrays = {
            index: np.frombuffer(data, values.dtype).reshape(values.shape)
            for index, (data, values) in enumerate(zip(inputs, self.arrays))  # noqa: B905  (lanes may be Python 3.9)
        }
        request = self.requests[0]
        request.infer(arrays)
        found = [request.get_output_tensor(index).data for index in range(len(self.compiled.outputs))]
        return [{"shape": list(each.shape), "data": each.astype("<f4").tobytes()} for each in found]

    def output_digest(self) -> str:
        """SHA-256 over the outputs of one inference on the preset inputs: equal digests are bit-equal outputs."""
        request = self.requests[0]
        request.infer(dict(enumerate(self.arrays)))
        return digest_outputs(self.compiled, request)


class Profiled(Contestant):
    """A contestant whose kernels are timed one by one, which no timed cell is: compiled with PERF_COUNT for itself."""

    def __init__(self, core: Any, order: dict[str, Any]) -> None:
        properties = {**order["properties"], "PERF_COUNT": "YES"}
        super().__init__(Compiled(core, {**order, "properties": properties}), {**order, "mode": "sync"})
        self.inferences = 1

    def run_block(self, duration_ns: int) -> dict[str, Any]:
        """A block whose inferences are counted, with the one that goes before its window."""
        block = super().run_block(duration_ns)
        self.inferences += 1 + len(block["wall_ns"]) // array("q").itemsize
        return block

    def counters(self) -> dict[str, Any]:
        """What OpenVINO counted in all inferences so far: for each node its mean, in whole microseconds.

        ``place`` in the order of execution is None for a node that is fused into another; each MAC is counted once.
        """
        graph = {node.get_friendly_name(): node.get_rt_info() for node in self.compiled.get_runtime_model().get_ops()}
        macs = macs_by_layer(self.ready.model)
        nodes = []
        for told in self.requests[0].profiling_info:
            info = graph.get(told.node_name, {})
            layers = original_layers(info)
            nodes.append(
                {
                    "name": told.node_name,
                    "status": told.status.name,
                    "kind": told.node_type,
                    "kernel": told.exec_type,
                    "real_us": round(told.real_time.total_seconds() * 1e6),
                    "cpu_us": round(told.cpu_time.total_seconds() * 1e6),
                    "layers": layers,
                    "place": int(info["execOrder"].value) if "execOrder" in info else None,
                    "macs": sum(macs.pop(name, 0) for name in layers),
                }
            )
        return {"inferences": self.inferences, "nodes": nodes}


def digest_outputs(compiled: Any, request: Any) -> str:
    """SHA-256 over all outputs of a request that has run."""
    import numpy as np

    digest = hashlib.sha256()
    for index in range(len(compiled.outputs)):
        digest.update(np.ascontiguousarray(request.get_output_tensor(index).data).tobytes())
    return digest.hexdigest()


def _pack(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = array("q", values)
        values.byteswap()
    return values.tobytes()


# ----------------------------------------------------------------------------------------------- answers to a lane


class Worker:
    """Answers one request after another; holds the contestants that are open."""

    def __init__(self) -> None:
        self.core: Any = None
        self.contestants: dict[str, Contestant] = {}
        self.profiled: dict[str, Profiled] = {}
        self.cpu_ns_at_rest = 0

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Dispatch on ``order["do"]``; the reply is a flat dictionary of plain values."""
        return {
            "hello": self.hello,
            "import": self.import_library,
            "open": self.open,
            "block": self.block,
            "digest": self.digest,
            "outputs": self.outputs,
            "profile": self.profile,
            "counters": self.counters,
            "usage": self.usage,
            "startup": self.startup,
            "close": self.close,
        }[order["do"]](order)

    def hello(self, order: dict[str, Any]) -> dict[str, Any]:
        """Take the affinity and the place for error output; say who we are."""
        if order.get("affinity") and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, order["affinity"])
        if order.get("stderr"):
            sink = os.open(order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(sink, 2)
            os.close(sink)
        return {"pid": os.getpid(), "python": sys.version.split()[0], "executable": sys.executable}

    def import_library(self, _order: dict[str, Any]) -> dict[str, Any]:
        """Import openvino (numpy first, apart) and make the core."""
        import numpy  # noqa: F401  (its import is not OpenVINO's time)

        start = time.perf_counter_ns()
        openvino = import_openvino()
        took = time.perf_counter_ns() - start
        gc.freeze()  # modules live as long as the lane: looking at them before every block took 9 to 13 ms
        self.core = openvino.Core()
        return {"import_ns": took, "version": openvino.__version__}

    def open(self, order: dict[str, Any]) -> dict[str, Any]:
        """Open a contestant under ``order["key"]``."""
        if self.core is None:
            self.import_library(order)
        before = _resident_bytes()
        twins = (each.ready for each in self.contestants.values())
        identity = Compiled.identify(order)
        ready = next((each for each in twins if each.identity == identity), None) or Compiled(self.core, order)
        contestant = Contestant(ready, order)
        self.contestants[order["key"]] = contestant
        after = _resident_bytes()
        grown = None if before is None or after is None else max(0, after - before)
        return {
            "effective": contestant.effective,
            "signature": ready.signature,
            "version": import_openvino().__version__,
            "read_ns": ready.read_ns,
            "compile_ns": ready.compile_ns,
            "first_inference_ns": contestant.first_inference_ns,
            "memory_bytes": grown,
            "resident_bytes": after,
        }

    def block(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run one block of an open contestant.

        ``idle_cpu_ns`` is what the lane used since its last answer, while another was measured; ``lane_cpu_ns`` is all
        it used since then, the block and the way there: what of the machine's time is not that, others took.
        """
        idle_cpu_ns = time.process_time_ns() - self.cpu_ns_at_rest
        block = self.contestants[order["key"]].run_block(int(order["duration_ns"]))
        block["idle_cpu_ns"] = idle_cpu_ns
        block["lane_cpu_ns"] = time.process_time_ns() - self.cpu_ns_at_rest
        return block

    def digest(self, order: dict[str, Any]) -> dict[str, Any]:
        """Hash of an open contestant's outputs."""
        return {"digest": self.contestants[order["key"]].output_digest()}

    def outputs(self, order: dict[str, Any]) -> dict[str, Any]:
        """Outputs of an open contestant for the given inputs."""
        return {"outputs": self.contestants[order["key"]].outputs(order["inputs"])}

    def profile(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run one block of a profiled model; the first order under its key, which is no contestant's, compiles it."""
        if self.core is None:
            self.import_library(order)
        if order["key"] not in self.profiled:
            self.profiled[order["key"]] = Profiled(self.core, order)
        block = self.profiled[order["key"]].run_block(int(order["duration_ns"]))
        block["lane_cpu_ns"] = time.process_time_ns() - self.cpu_ns_at_rest
        return block

    def counters(self, order: dict[str, Any]) -> dict[str, Any]:
        """Counters of a profiled model since it was compiled."""
        return self.profiled[order["key"]].counters()

    def usage(self, _order: dict[str, Any]) -> dict[str, Any]:
        """CPU time and peak memory of this process so far."""
        return {"cpu_ns": time.process_time_ns(), "peak_resident_bytes": _status_bytes("VmHWM")}

    def close(self, order: dict[str, Any]) -> dict[str, Any]:
        """Close one contestant."""
        del self.contestants[order["key"]]
        gc.collect()
        return {}

    def startup(self, order: dict[str, Any]) -> dict[str, Any]:
        """In a fresh process: import, read, compile, first inference, each timed; then what was loaded and computed."""
        imported = self.import_library(order)
        clock = time.perf_counter_ns
        start = clock()
        model = read_model(self.core, order["model"], order.get("shape"), int(order.get("batch") or 0))
        read = clock()
        compiled = compile_model(self.core, model, order["device"], order["properties"])
        ready = clock()
        arrays = make_inputs(model, int(order["seed"]))
        request = compiled.create_infer_request()
        inputs = dict(enumerate(arrays))
        before = clock()
        request.infer(inputs)
        first = clock() - before
        return {
            "import_ns": imported["import_ns"],
            "read_ns": read - start,
            "compile_ns": ready - read,
            "first_inference_ns": first,
            "peak_resident_bytes": _status_bytes("VmHWM"),
            "loaded_from_cache": bool(_read(compiled, "LOADED_FROM_CACHE")),
            "digest": digest_outputs(compiled, request),
        }


def _involuntary_switches() -> int | None:
    """How often the kernel took a core from one of our threads; None where it does not tell."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _resident_bytes() -> int | None:
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int | None:
    """A field of /proc/self/status in bytes; None where there is no /proc. (ru_maxrss inherits the parent's peak.)"""
    try:
        with open("/proc/self/status") as lines:  # noqa: PTH123  (pathlib is an import more in every lane)
            for line in lines:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def one_line(error: BaseException) -> str:
    """The telling line of an OpenVINO error: its last one that is not a source position."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from src", "Check '"))]
    return (telling or lines or [type(error).__name__])[-1]


def serve(channel: Any) -> None:
    """Answer requests until the other side closes the channel. Ctrl-C is the other side's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until here it was blocked, where the system can block it
    worker = Worker()
    for order in channel:
        try:
            answer = worker.answer(order)
            worker.cpu_ns_at_rest = time.process_time_ns()
            channel.send(answer)
        except Refusal as refusal:
            channel.send({"refused": str(refusal)})
        except (RuntimeError, ValueError, TypeError, OSError, ImportError, MemoryError, LookupError) as error:
            channel.send({"refused": one_line(error), "kind": type(error).__name__, "detail": str(error)})


if __name__ == "__channelexec__":
    serve(channel)  # type: ignore[name-defined]  # noqa: F821  (execnet puts it there)
