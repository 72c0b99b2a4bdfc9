"""Writes the public API of a crate, one item a line, from what rustdoc knows of it as JSON."""


class Api:
    """The public items of a crate."""

    def __init__(self, document):
        self.index = document["index"]
        self.root = self.index[str(document["root"])]
        self.lines, self.seen = [], {}

    def list(self):
        """Returns all lines, sorted."""
        waiting = [(self.root, self.root["name"])]
        # Modules nearer to the root first: an item is listed with its members under its shortest path.
        while waiting:
            module, path = waiting.pop(0)
            for item, name in self.children(module):
                self.item(item, f"{path}::{name}", waiting)
        return sorted(set(self.lines))

    def children(self, module):
        """Yields the public items of a module, and the names that they have in it."""
        for id in module["inner"]["module"]["items"]:
            item = self.index[str(id)]
            if item["visibility"] != "public":
                continue
            use = item["inner"].get("use")
            if use is None:
                yield item, item["name"]
                continue
            target = self.index.get(str(use["id"]))
            if target is None:
                self.lines.append(f"use {use['source']} as {use['name']}")
            elif use["is_glob"]:
                yield from self.children(target)
            else:
                yield target, use["name"]

    def item(self, item, path, waiting):
        (kind, inner), id = next(iter(item["inner"].items())), item["id"]
        if id in self.seen:
            self.lines.append(f"use {path} = {self.seen[id]}")
            return
        self.seen[id] = path
        if kind == "module":
            self.lines.append(f"mod {path}")
            waiting.append((item, path))
        elif kind == "function":
            self.lines.append(self.function(item, path))
        elif kind in ("struct", "enum", "trait", "union"):
            attributes = "".join("non_exhaustive " for a in item["attrs"] if "non_exhaustive" in str(a))
            generics = self.generics(inner["generics"])
            bounds = self.bounds(inner.get("bounds", ()), ": ")
            self.lines.append(f"{attributes}{kind} {path}{generics}{bounds}")
            self.members(kind, inner, path)
        elif kind == "type_alias":
            self.lines.append(f"type {path}{self.generics(inner['generics'])} = {self.type(inner['type'])}")
        elif kind in ("constant", "static"):
            self.lines.append(f"{kind} {path}: {self.type(inner['type'])}")
        else:
            self.lines.append(f"{kind} {path}")

    def members(self, kind, inner, path):
        ids = []
        if kind == "struct":
            shape = inner["kind"]
            if "plain" in shape:
                ids = shape["plain"]["fields"]
            elif "tuple" in shape:
                ids = [id for id in shape["tuple"] if id is not None]
        elif kind == "enum":
            ids = inner["variants"]
        elif kind == "trait":
            ids = inner["items"]
        for id in ids:
            self.member(self.index[str(id)], path, of_trait=kind in ("trait", "enum"))
        for id in inner.get("impls", ()):
            self.implementation(self.index[str(id)]["inner"]["impl"], path)

    def implementation(self, impl, path):
        if impl["is_synthetic"] or impl["blanket_impl"]:
            return
        if impl["trait"] is None:
            for id in impl["items"]:
                self.member(self.index[str(id)], path)
            return
        name = self.path(impl["trait"])
        if name != "StructuralPartialEq":
            for_type = self.type(impl["for"])
            self.lines.append(f"impl {name} for {path.rsplit('::', 1)[0]}::{for_type.lstrip('&')}")

    def member(self, item, path, of_trait=False):
        if not of_trait and item["visibility"] != "public":
            return
        (kind, inner), name = next(iter(item["inner"].items())), f"{path}::{item['name']}"
        if kind == "function":
            self.lines.append(self.function(item, name))
        elif kind == "struct_field":
            self.lines.append(f"field {name}: {self.type(inner)}")
        elif kind == "variant":
            self.lines.append(f"variant {name}")
            shape = inner["kind"]
            if isinstance(shape, dict):
                ids = shape["struct"]["fields"] if "struct" in shape else shape["tuple"]
                for id in ids:
                    if id is not None:
                        self.member(self.index[str(id)], name, of_trait=True)
        elif kind == "assoc_type":
            self.lines.append(f"type {name}{self.bounds(inner['bounds'], ': ')}")
        elif kind == "assoc_const":
            self.lines.append(f"const {name}: {self.type(inner['type'])}")
        else:
            self.lines.append(f"{kind} {name}")

    def function(self, item, path):
        inner = item["inner"]["function"]
        signature, header = inner["sig"], inner["header"]
        words = "".join(f"{word} " for word in ("const", "async", "unsafe") if header.get(f"is_{word}"))
        inputs = ", ".join(self.input(name, type) for name, type in signature["inputs"])
        output = f" -> {self.type(signature['output'])}" if signature["output"] else ""
        provided = " (provided)" if inner.get("has_body") and item["visibility"] == "default" else ""
        return f"{words}fn {path}{self.generics(inner['generics'])}({inputs}){output}{provided}"

    def input(self, name, type):
        if name != "self":
            return f"{name}: {self.type(type)}"
        text = self.type(type)
        return {"Self": "self", "&Self": "&self", "&mut Self": "&mut self"}.get(text, f"self: {text}")

    def generics(self, generics):
        parts = []
        for parameter in generics["params"]:
            kind = parameter["kind"]
            if "type" in kind and not kind["type"]["is_synthetic"]:
                parts.append(parameter["name"] + self.bounds(kind["type"]["bounds"], ": "))
            elif "const" in kind:
                parts.append(f"const {parameter['name']}: {self.type(kind['const']['type'])}")
        for predicate in generics["where_predicates"]:
            bound = predicate.get("bound_predicate")
            # `async_trait` adds bounds of its own lifetime.
            if bound and not any(each.get("outlives") == "'async_trait" for each in bound["bounds"]):
                parts.append(self.type(bound["type"]) + self.bounds(bound["bounds"], ": "))
        return f"<{', '.join(parts)}>" if parts else ""

    def bounds(self, bounds, before=""):
        names = []
        for bound in bounds:
            if "trait_bound" in bound:
                modifier = "?" if bound["trait_bound"]["modifier"] == "maybe" else ""
                names.append(modifier + self.path(bound["trait_bound"]["trait"]))
            elif "outlives" in bound:
                names.append(bound["outlives"])
        return before + " + ".join(names) if names else ""

    def path(self, path):
        name = (path.get("path") or path.get("name")).rsplit("::", 1)[-1]
        return name + self.arguments(path.get("args"))

    def arguments(self, args):
        if not args:
            return ""
        if "parenthesized" in args:
            inputs = ", ".join(map(self.type, args["parenthesized"]["inputs"]))
            output = args["parenthesized"]["output"]
            return f"({inputs})" + (f" -> {self.type(output)}" if output else "")
        if "angle_bracketed" not in args:
            return ""
        parts = []
        for argument in args["angle_bracketed"]["args"]:
            if "type" in argument:
                parts.append(self.type(argument["type"]))
            elif "const" in argument:
                parts.append(argument["const"]["expr"])
            elif "lifetime" in argument and argument["lifetime"] == "'static":
                parts.append("'static")
        for constraint in args["angle_bracketed"]["constraints"]:
            binding = constraint["binding"]
            if "equality" in binding:
                term = binding["equality"]
                parts.append(f"{constraint['name']} = {self.type(term['type']) if 'type' in term else term}")
            else:
                parts.append(constraint["name"] + self.bounds(binding["constraint"], ": "))
        return f"<{', '.join(parts)}>" if parts else ""

    def type(self, type):
        if type is None:
            return "()"
        (kind, inner), = type.items()
        if kind == "resolved_path":
            return self.path(inner)
        if kind in ("generic", "primitive"):
            return inner
        if kind == "borrowed_ref":
            lifetime = "'static " if inner["lifetime"] == "'static" else ""
            return f"&{lifetime}{'mut ' if inner['is_mutable'] else ''}{self.type(inner['type'])}"
        if kind == "tuple":
            return f"({', '.join(map(self.type, inner))})"
        if kind == "slice":
            return f"[{self.type(inner)}]"
        if kind == "array":
            return f"[{self.type(inner['type'])}; {inner['len']}]"
        if kind == "impl_trait":
            return "impl" + self.bounds(inner, " ")
        if kind == "dyn_trait":
            traits = [self.path(bound["trait"]) for bound in inner["traits"]]
            return "dyn " + " + ".join(traits)
        if kind == "qualified_path":
            owner = self.type(inner["self_type"])
            trait = self.path(inner["trait"]) if inner.get("trait") and inner["trait"].get("path") else ""
            return f"<{owner} as {trait}>::{inner['name']}" if trait else f"{owner}::{inner['name']}"
        if kind == "function_pointer":
            signature = inner["sig"]
            inputs = ", ".join(self.type(input) for _, input in signature["inputs"])
            return f"fn({inputs})" + (f" -> {self.type(signature['output'])}" if signature["output"] else "")
        if kind == "raw_pointer":
            return f"*{'mut' if inner['is_mutable'] else 'const'} {self.type(inner['type'])}"
        return kind
