// The visible texts and lines of the page with their colors, as {what, kind, color, background}. A color is red, green
// and blue from 0 to 255, after all transparency.
(() => {
  function parse(color) { // red, green, blue, alpha
    const numbers = color.match(/-?[\d.]+/g).map(Number);
    if (!/^rgba?\(/.test(color)) {
      throw new Error("cannot read the color " + color);
    }
    return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  }
  function over(top, bottom) {
    return [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
  }
  function behind(e) {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      layers.push(parse(getComputedStyle(at).backgroundColor));
    }
    const shape = e.closest(".node")?.querySelector("path");
    if (shape && shape !== e) {
      layers.unshift(parse(getComputedStyle(shape).fill));
    }
    return layers.reduceRight((bottom, top) => over(top, bottom), [255, 255, 255, 1]);
  }
  function opacity(e) {
    let all = 1;
    for (let at = e; at; at = at.parentElement) {
      all *= Number(getComputedStyle(at).opacity);
    }
    return all;
  }
  const found = [];
  function add(e, kind, what, color) {
    const background = behind(e), top = parse(color);
    top[3] *= opacity(e);
    found.push({ what, kind, color: over(top, background).slice(0, 3), background: background.slice(0, 3) });
  }
  const isShown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".hidden, .skip, title") &&
    e.getBoundingClientRect().width > 1;
  const name = (e) => e.localName + "." + (e.getAttribute("class") ?? "").replaceAll(" ", ".");

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
    if (text !== "" && !["script", "style"].includes(e.localName) && isShown(e)) {
      const style = getComputedStyle(e);
      add(e, "text", name(e) + " " + text.slice(0, 40), e.ownerSVGElement ? style.fill : style.color);
    }
  }
  for (const e of document.querySelectorAll("body *")) {
    for (const part of ["::before", "::after"]) {
      const style = getComputedStyle(e, part);
      if (!["none", "normal", '""'].includes(style.content) && isShown(e)) {
        add(e, "text", name(e) + part + " " + style.content, style.color);
      }
    }
  }
  const query = document.getElementById("query");
  add(query, "text", "placeholder", getComputedStyle(query, "::placeholder").color);
  add(query, "line", "border of the filter", getComputedStyle(query).borderTopColor);
  for (const e of document.querySelectorAll(".edge .line, .node path")) {
    const style = getComputedStyle(e), canvas = e.ownerSVGElement;
    const background = behind(canvas), top = parse(style.stroke);
    top[3] *= opacity(e);
    found.push({
      what: name(e.parentElement) + " " + name(e), kind: "line", color: over(top, background).slice(0, 3),
      background: background.slice(0, 3),
    });
  }
  return found;
})()
