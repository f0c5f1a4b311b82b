
(function () {
  "use strict";
  const id = (name) => document.getElementById(name);
  const fields = { from: "source", to: "destination", port: "port", test: "tests", verdict: "verdict" };
  const step = 200; // rows that are added at once
  const first = 20; // requests of a flow that are shown at once
  const few = 10; // flows whose evidence is shown when they are selected

  let data, text, flows;
  const unsorted = { column: -1, up: true };
  let shown = [], rendered = 0, sort = unsorted;
  let origin = null; // what the reader selected last

  function load() {
    data = JSON.parse(id("data").textContent);
    text = data.strings;
    flows = data.flows.map((f, i) => ({
      index: i, from: f[0], to: f[1], port: text[f[2]], protocol: text[f[3]], verdictIndex: f[4], isNew: f[5] === 1,
      count: f[6], first: f[7], elapsed: text[f[8]], testIndexes: f[9], seen: f[10],
      wouldRefuse: f[11], refused: f[12], requests: f[13], requestCount: f[14], opaque: text[f[15]],
      source: text[data.nodes[f[0]][0]], destination: text[data.nodes[f[1]][0]], verdict: data.verdicts[f[4]], all: "",
    }));
  }

  // key returns what identifies a flow, also in other results.
  function key(f) {
    return JSON.stringify([f.port, f.protocol].concat(...[f.from, f.to].map((n) => data.nodes[n].map((t) => text[t]))));
  }

  // haystack returns everything that a word can match, in lower case.
  function haystack(f) {
    if (f.all === "") {
      const parts = [f.source, f.destination, f.port, f.protocol, f.verdict, f.isNew ? "new" : "", tests(f)];
      for (const s of f.seen) {
        for (let i = 3; i < s.length; i += 2) {
          parts.push(text[s[i]]);
        }
      }
      for (const r of f.requests) {
        parts.push(text[r[0]] + " " + text[r[1]]);
      }
      if (f.opaque) {
        parts.push(asked(f));
      }
      f.all = parts.join("\n").toLowerCase();
    }
    return f.all;
  }

  function tests(f) {
    return f.testIndexes.map((t) => text[data.tests[t][1]] + "\n" + text[data.tests[t][0]]).join("\n");
  }

  // parse returns the terms of a query: words, and words or quoted texts after a field's name. Terms that are still
  // being typed match everything.
  function parse(query) {
    const terms = [];
    for (const m of query.matchAll(/(-?)(?:(from|to|end|port|test|verdict):)?(?:"((?:[^"]|"")*)"|"?(\S*))/gi)) {
      const exact = m[3] !== undefined;
      const value = (exact ? m[3].replaceAll('""', '"') : m[4]).toLowerCase();
      if (value === "") {
        continue;
      }
      terms.push({ not: m[1] === "-", field: (m[2] || "").toLowerCase(), exact, value });
    }
    return terms;
  }

  function matches(f, term) {
    const is = (value) => {
      value = String(value).toLowerCase();
      if (term.field !== "" && term.value.startsWith("*.")) {
        return value.endsWith(term.value.slice(1));
      }
      return term.exact && term.field !== "" ? value === term.value : value.includes(term.value);
    };
    switch (term.field) {
      case "":
        return haystack(f).includes(term.value);
      case "end":
        return is(f.source) || is(f.destination);
      case "verdict":
        return is(f.verdict) || f.isNew && is("new") || f.refused > 0 && is("refused");
      case "test":
        return f.testIndexes.some((t) => is(text[data.tests[t][1]]));
      case "port":
        return f.port === term.value || f.protocol.toLowerCase() === term.value;
    }
    return is(f[fields[term.field]]);
  }

  const value = {
    0: (f) => f.source, 1: (f) => f.destination, 2: (f) => Number(f.port) || 0, 3: (f) => f.protocol,
    4: (f) => f.verdictIndex * 2 + (f.isNew ? 0 : 1), 6: (f) => f.count, 7: (f) => f.first,
    9: (f) => f.testIndexes.length, 11: (f) => f.wouldRefuse, 12: (f) => f.refused,
  };

  function compare(a, b) {
    const x = value[sort.column](a), y = value[sort.column](b);
    const order = x < y ? -1 : x > y ? 1 : 0;
    return (sort.up ? order : -order) || a.index - b.index;
  }

  function element(name, className, content) {
    const e = document.createElement(name);
    if (className) {
      e.className = className;
    }
    if (content !== undefined) {
      e.textContent = content;
    }
    return e;
  }

  function cell(content) {
    const td = element("td", "", content);
    td.setAttribute("role", "cell");
    return td;
  }

  // some returns a number, or "" for 0.
  function some(n) {
    return n > 0 ? n.toLocaleString("en") : "";
  }

  function verdict(name) {
    return element("span", "verdict " + name.replaceAll(" ", "-"), name);
  }

  // asked says how many requests a flow has, or why they are not known; "" if none were recorded.
  function asked(f) {
    if (f.opaque) {
      return "opaque: " + f.opaque;
    }
    return f.requestCount === 0 ? "" : f.requestCount.toLocaleString("en") + (f.requestCount === 1 ? " request" : " requests");
  }

  // requests returns a list of the requests of a flow: the first ones, and the others folded.
  function requests(f) {
    const list = (some) => {
      const ul = element("ul");
      for (const r of some) {
        const li = element("li");
        li.append(verdict(data.verdicts[r[2]]), " " + text[r[0]] + " ", element("code", "", text[r[1]]));
        ul.append(li);
      }
      return ul;
    };
    const block = element("div", "requests");
    block.append(element("h3", "", asked(f)));
    block.append(list(f.requests.slice(0, first)));
    if (f.requests.length > first) {
      const rest = element("details");
      rest.dataset.was = false;
      const missing = f.requestCount - f.requests.length;
      rest.append(element("summary", "", (f.requests.length - first).toLocaleString("en") + " more"));
      rest.append(list(f.requests.slice(first)));
      if (missing > 0) {
        rest.append(element("p", "", "and " + missing.toLocaleString("en") + " that this page does not list"));
      }
      block.append(rest);
    }
    return block;
  }

  function row(f) {
    const tr = element("tr", "flow");
    tr.dataset.key = key(f);
    tr.setAttribute("role", "row");
    const source = cell();
    const toggle = element("button", "toggle", f.source);
    toggle.type = "button";
    toggle.setAttribute("aria-expanded", "false");
    source.append(toggle);
    const outcome = cell();
    outcome.append(verdict(f.verdict));
    if (f.isNew) {
      outcome.append(" ", element("span", "tag", "new"));
    }
    const protocol = cell(f.protocol);
    if (asked(f)) {
      protocol.append(" ", element("span", "of", asked(f)));
    }
    tr.append(source, cell(f.destination), cell(f.port), protocol, outcome, cell(f.count.toLocaleString("en")),
      cell(some(f.wouldRefuse)), cell(some(f.refused)), cell(String(f.testIndexes.length)), cell(f.elapsed));
    tr.addEventListener("click", () => {
      if (String(getSelection()) === "") {
        open(tr, toggle, f);
      }
    });
    return tr;
  }

  // open shows or hides the evidence of a flow below its row.
  function open(tr, toggle, f) {
    const isOpen = tr.classList.toggle("open");
    toggle.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) {
      tr.nextSibling.remove();
      return;
    }
    const detail = element("tr", "evidence");
    detail.setAttribute("role", "row");
    const td = cell();
    td.colSpan = 10;
    if (f.requests.length > 0) {
      td.append(requests(f));
    }
    for (const s of f.seen) {
      const title = element("h3", "", text[data.tests[s[0]][1]]);
      const [pack, , recording] = data.tests[s[0]].map((t) => text[t]);
      title.append(" ", element("span", "", [pack, recording].filter((t) => t).join(", ")));
      const list = element("dl");
      for (let i = 2; i < s.length; i += 2) {
        const label = text[s[i]];
        const isCode = label === "at" || label === "by" || label === "from" || label === "exec";
        if (i === 2 || text[s[i - 2]] !== label) {
          list.append(element("dt", "", label));
        }
        list.append(element("dd", isCode ? "code" : label === "denied" || label === "refused" ? "denied" : "", text[s[i + 1]]));
      }
      td.append(title, list);
    }
    const rest = f.testIndexes.filter((t) => !f.seen.some((s) => s[0] === t));
    if (rest.length > 0) {
      const names = rest.slice(0, 20).map((t) => text[data.tests[t][1]]).join(", ");
      const more = rest.length > 20 ? " and " + (rest.length - 20) + " more" : "";
      td.append(element("p", "", "Also in " + names + more));
    }
    detail.append(td);
    tr.after(detail);
  }

  // extend adds the next rows, so many at most.
  function extend(count) {
    const part = document.createDocumentFragment();
    for (const f of shown.slice(rendered, rendered + count)) {
      part.append(row(f));
    }
    id("rows").append(part);
    rendered = Math.min(shown.length, rendered + count);
    describe();
  }

  // shorten leaves so many rows.
  function shorten(count) {
    for (let tr = id("rows").querySelectorAll("tr.flow")[count]; tr;) {
      const next = tr.nextSibling;
      tr.remove();
      tr = next;
    }
    rendered = Math.min(rendered, count);
    describe();
  }

  // describe says how many flows match and how many are shown.
  function describe() {
    id("more").hidden = rendered === shown.length;
    id("next").textContent = "Show " + Math.min(step, shown.length - rendered) + " more";
    const number = (n) => n.toLocaleString("en");
    id("status").textContent = number(shown.length) + " of " + number(flows.length) + " flows" +
      (rendered < shown.length ? "; the first " + number(rendered) + " are shown" : "");
  }

  // apply shows the flows that match the filter, in a table with at most so many rows.
  function apply(count) {
    const terms = parse(id("query").value);
    shown = flows.filter((f) => terms.every((t) => matches(f, t) !== t.not));
    if (sort.column >= 0) {
      shown.sort(compare);
    }
    rendered = 0;
    id("rows").replaceChildren();
    extend(count);
    const query = id("query").value.trim();
    id("filtered").textContent = query && "Filter: " + query;
    keep();
    for (const b of id("tabs").children) {
      b.setAttribute("aria-pressed", String(query === tabQuery(b.dataset.tab)));
    }
  }

  function tabQuery(name) {
    return name === "all" ? "" : "verdict:" + quote(name);
  }

  function quote(value) {
    return '"' + value.replaceAll('"', '""') + '"';
  }

  function filter(query) {
    id("query").value = query;
    apply(step);
  }

  // select filters the flows and goes to them. It shows the evidence of few. The Escape key leads back to the element
  // that was selected, and the browser's Back button to the flows before.
  function select(query, from) {
    try {
      history.pushState(null, "");
    } catch {
      // as in keep
    }
    filter(query);
    if (shown.length <= few) {
      unfold(new Set(shown.map(key)));
    }
    origin = { tag: from.tagName, name: handle(from) };
    id("flows").scrollIntoView();
    id("flows").focus({ preventScroll: true });
  }

  // unfold shows the evidence of flows with these keys.
  function unfold(keys) {
    for (const tr of document.querySelectorAll("tr.flow:not(.open)")) {
      if (keys.has(tr.dataset.key)) {
        tr.querySelector(".toggle").click();
      }
    }
  }

  // The filter and the order are in the fragment of the address, so that they survive a reload and can be sent on.
  function keep() {
    const state = new URLSearchParams();
    const query = id("query").value.trim();
    if (query) {
      state.set("filter", query);
    }
    if (sort.column >= 0) {
      state.set("sort", sort.up ? sort.column : -sort.column - 1);
    }
    const fragment = String(state);
    if (fragment || isState(location.hash)) {
      try {
        history.replaceState(null, "", location.href.split("#")[0] + (fragment && "#" + fragment));
      } catch {
        // Safari permits 100 changes in 30 seconds. Only the address is old then.
      }
    }
  }

  // isState reports whether a fragment is a filter and an order, perhaps none, and not a section of the page.
  function isState(hash) {
    return /^(#(filter|sort)=.*)?$/.test(hash);
  }

  // restore takes the filter and the order from the address. A link to a section of the page changes neither.
  function restore() {
    if (!isState(location.hash)) {
      return;
    }
    const state = new URLSearchParams(location.hash.slice(1));
    const number = Number(state.get("sort") ?? NaN), up = number >= 0, column = up ? number : -number - 1;
    id("query").value = state.get("filter") ?? "";
    order(Object.hasOwn(value, column) ? { column, up } : unsorted);
  }

  function label(node) {
    return quote(text[data.nodes[node][0]]);
  }

  // between returns the filter for the flows of an edge or a cell.
  function between(e) {
    return "from:" + label(e.dataset.from) + " to:" + label(e.dataset.to);
  }

  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

  // The graph: a node or an edge filters; the pointer highlights its neighbors. The Tab key stops at one node; the arrow
  // keys lead to the nearest one on their side.
  let nodes = [], edges = [];
  function trace(isNear) {
    if (nodes.length === 0) {
      return;
    }
    const svg = nodes[0].ownerSVGElement;
    svg.classList.toggle("traced", isNear !== null);
    const near = new Set();
    for (const e of edges) {
      const is = isNear !== null && isNear(e.dataset.from, e.dataset.to);
      e.classList.toggle("near", is);
      if (is) {
        near.add(e.dataset.from).add(e.dataset.to);
      }
    }
    for (const n of nodes) {
      n.classList.toggle("near", near.has(n.dataset.node));
    }
  }
  function traceable(e, isNear, events) {
    for (const [on, off] of events) {
      e.addEventListener(on, () => trace(isNear));
      e.addEventListener(off, () => trace(null));
    }
  }
  // nearest returns the node that is next in a direction, or else the node itself. Distances across count double.
  function nearest(from, down, right) {
    const center = (n) => {
      const box = n.getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    };
    const [x, y] = center(from);
    let best = from, least = Infinity;
    for (const n of nodes) {
      const [x2, y2] = center(n);
      const along = (x2 - x) * right + (y2 - y) * down, across = Math.abs((x2 - x) * down + (y2 - y) * right);
      if (along > 1 && along + 2 * across < least) {
        best = n;
        least = along + 2 * across;
      }
    }
    return best;
  }
  function bindGraph() {
    nodes = [...document.querySelectorAll(".node")];
    edges = [...document.querySelectorAll(".edge")];
    // An edge listens to no focus: the Tab key would stop at each element of the SVG that does.
    const pointer = ["pointerenter", "pointerleave"], focus = ["focus", "blur"];
    const reach = (only) => nodes.forEach((n) => n.setAttribute("tabindex", n === only ? 0 : -1));
    reach(nodes[0]);
    for (const n of nodes) {
      const choose = () => select("end:" + label(n.dataset.node), n);
      n.addEventListener("click", choose);
      n.addEventListener("focus", () => reach(n));
      n.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          choose();
        } else if (moves[event.key]) {
          event.preventDefault();
          nearest(n, ...moves[event.key]).focus();
        }
      });
      traceable(n, (from, to) => from === n.dataset.node || to === n.dataset.node, [pointer, focus]);
    }
    for (const e of edges) {
      e.addEventListener("click", () => select(between(e), e));
      traceable(e, (from, to) => from === e.dataset.from && to === e.dataset.to, [pointer]);
    }
  }

  // The matrix: one stop for the Tab key, arrow keys within.
  function bindMatrix() {
    const cells = id("cells");
    if (!cells) {
      return;
    }
    const grid = [...cells.tBodies[0].rows].map((r) => [...r.querySelectorAll("td")].map((td) => td.firstElementChild));
    const buttons = grid.flat().filter((b) => b);
    buttons.forEach((b, i) => {
      b.setAttribute("aria-label", b.title);
      b.tabIndex = i === 0 ? 0 : -1;
    });
    cells.addEventListener("keydown", (event) => {
      const move = moves[event.key], from = event.target;
      if (!move || from.tagName !== "BUTTON") {
        return;
      }
      event.preventDefault();
      let y = grid.findIndex((line) => line.includes(from)), x = grid[y].indexOf(from);
      do {
        y += move[0];
        x += move[1];
      } while (grid[y] && x >= 0 && x < grid[y].length && !grid[y][x]);
      const to = grid[y] && grid[y][x];
      if (to) {
        to.focus();
      }
    });
    cells.addEventListener("focusin", (event) => buttons.forEach((b) => b.tabIndex = b === event.target ? 0 : -1));
    cells.addEventListener("click", (event) => {
      const b = event.target.closest("button");
      if (b) {
        select(between(b), b);
      }
    });
  }

  // The table.
  for (const th of id("table").tHead.rows[0].cells) {
    const b = element("button", "", th.textContent);
    b.type = "button";
    th.replaceChildren(b);
    b.addEventListener("click", () => {
      const column = Number(th.dataset.sort);
      const isNumber = [6, 9, 11, 12].includes(column);
      order({ column, up: sort.column === column ? !sort.up : !isNumber });
      apply(step);
    });
  }
  function order(by) {
    sort = by;
    for (const th of id("table").tHead.rows[0].cells) {
      if (Number(th.dataset.sort) === by.column) {
        th.setAttribute("aria-sort", by.up ? "ascending" : "descending");
      } else {
        th.removeAttribute("aria-sort");
      }
    }
  }
  id("query").addEventListener("input", () => apply(step));
  id("tabs").addEventListener("click", (event) => {
    const b = event.target.closest("button");
    if (b) {
      filter(tabQuery(b.dataset.tab));
    }
  });
  id("next").addEventListener("click", () => {
    const last = id("rows").lastElementChild;
    extend(step);
    last.nextElementSibling.querySelector("button").focus();
  });
  const sent = new Map(); // the sections, as the server sent them
  for (const s of document.querySelectorAll("main > section")) {
    sent.set(nameOf(s), s.cloneNode(true));
  }
  for (const d of document.querySelectorAll("details")) {
    d.dataset.was = d.open;
  }
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || id("query").value === "") {
      return;
    }
    event.preventDefault();
    filter("");
    const from = origin && event.target !== id("query") && find(origin.tag, origin.name);
    origin = null;
    if (from) {
      from.focus();
    }
  });
  addEventListener("popstate", () => {
    restore();
    apply(step);
  });
  id("controls").hidden = false;
  load();
  bindGraph();
  bindMatrix();
  restore();
  apply(step);
  if (id("query").value !== "" && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
    id("flows").scrollIntoView(); // a link to filtered flows
  }

  // Other results: those of a page that package serve has made later. A static page gets none.

  document.addEventListener("netzero-results", (event) => update(event.detail));

  function nameOf(section) {
    return section.getAttribute("aria-labelledby");
  }

  // handle identifies an element that the reader may have reached, also in other results.
  function handle(e) {
    const section = e.closest("section"), fold = e.closest("details"), flow = e.closest("tr.flow");
    const ends = [e.dataset.node, e.dataset.from, e.dataset.to].filter((n) => n !== undefined).map(label);
    return JSON.stringify([
      e.tagName, section && nameOf(section), fold && fold.dataset.fold, flow && flow.dataset.key, e.dataset.tab, ends,
    ]);
  }

  function find(tag, wanted) {
    return [...document.querySelectorAll(tag)].find((e) => handle(e) === wanted);
  }

  // update replaces the results. It keeps what the reader has chosen: the filter, the order, what is unfolded, the focus,
  // and the place that is read.
  function update(fresh) {
    const focused = document.activeElement, focus = handle(focused), top = topmost();
    const open = new Set([...document.querySelectorAll("tr.open")].map((tr) => tr.dataset.key));
    const folds = [...document.querySelectorAll("details")].filter((d) => String(d.open) !== d.dataset.was)
      .map((d) => [handle(d), d.open]);
    const scrolled = [...document.querySelectorAll(".scroll")].map((e) => [e.tagName, handle(e), e.scrollLeft, e.scrollTop]);
    const count = Math.max(rendered, step);

    for (const name of ["subtitle", "sections", "data", "tabs", "times"]) {
      id(name).replaceChildren(...fresh.getElementById(name).childNodes);
    }
    load();
    const changed = replaceSections(fresh);
    if (changed.has("graph")) {
      bindGraph();
    }
    if (changed.has("matrix")) {
      bindMatrix();
    }
    apply(count);

    unfold(open);
    for (const [name, isOpen] of folds) {
      const d = find("details", name);
      if (d) {
        d.open = isOpen;
      }
    }
    for (const [tag, name, left, above] of scrolled) {
      const e = find(tag, name);
      if (e) {
        e.scrollTo(left, above);
      }
    }
    if (!focused.isConnected) {
      const e = find(focused.tagName, focus);
      if (e) {
        e.focus({ preventScroll: true });
      }
    }
    const e = top && find(top.tag, top.name);
    if (e) {
      scrollBy({ top: e.getBoundingClientRect().top - top.at, behavior: "instant" });
    }
  }

  // topmost returns what is read: the last section, file or flow that begins at the top of the window or above. It
  // returns null at the start of the page.
  function topmost() {
    let found = null;
    for (const e of scrollY > 0 ? document.querySelectorAll("section, details, tr.flow") : []) {
      const box = e.getBoundingClientRect();
      if (box.top <= 1 && box.height > 0) {
        found = { tag: e.tagName, name: handle(e), at: box.top };
      }
    }
    return found;
  }

  // replaceSections replaces the sections that differ, but for the flows, and returns their names.
  function replaceSections(fresh) {
    const old = new Map([...document.querySelectorAll("main > section")].map((s) => [nameOf(s), s]));
    const changed = new Set();
    let last = null;
    for (const s of fresh.querySelectorAll("main > section")) {
      const name = nameOf(s), before = old.get(name);
      old.delete(name);
      if (name === "flows" || before && s.isEqualNode(sent.get(name))) {
        last = before;
        continue;
      }
      changed.add(name);
      sent.set(name, s.cloneNode(true));
      for (const d of s.querySelectorAll("details")) {
        d.dataset.was = d.open;
      }
      if (before) {
        before.replaceWith(s);
      } else if (last) {
        last.after(s);
      } else {
        document.querySelector("main").prepend(s);
      }
      last = s;
    }
    for (const [name, s] of old) {
      sent.delete(name);
      s.remove();
    }
    return changed;
  }

  // Paper has no way to unfold, or to show more. A browser may report printing by these events, by the media, or by both.
  const paper = matchMedia("print");
  let before = null; // the paper: what is folded, and how many rows there are
  function print() {
    if (before === null) {
      before = { folded: [...document.querySelectorAll("details:not([open])")], rendered };
      before.folded.forEach((d) => d.open = true);
      extend(shown.length);
    }
  }
  function endPrint() {
    if (before !== null) {
      before.folded.forEach((d) => d.open = false);
      shorten(before.rendered);
      before = null;
    }
  }
  addEventListener("beforeprint", print);
  addEventListener("afterprint", endPrint);
  paper.addEventListener("change", () => paper.matches ? print() : endPrint());
})();
