(() => {
  const ROW = 58, KEEP = 12;
  const head = JSON.parse($("head").textContent);
  const count = (n) => n.toLocaleString("en-US");

  // -- data: base64 of zlib, decompressed by the browser --------------------------------------------------------------
  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  };
  const inflated = async (id) => {
    const stream = new Blob([bytesOf($(id).textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };
  const kept = new Map();
  const block = async (number) => {
    let items = kept.get(number);
    if (!items) {
      items = await inflated(`block-${number}`);
      if (kept.size >= KEEP) kept.delete(kept.keys().next().value);
    }
    kept.delete(number);
    kept.set(number, items);
    return items;
  };

  const size = head.size;
  let index = {}, shown = [], chosen = -1, current = -1;
  const hay = [];      // by block: the lower-case text of its items, joined
  const starts = [];   // by block: where each item's text starts

  const searchable = (item) => {
    const parts = [item.item, item.question, item.context, item.answer, item.error, item.outcome, item.model];
    parts.push(...item.options, ...item.references, ...item.flags);
    for (const value of Object.values(item.columns)) parts.push(value);
    for (const value of Object.values(item.extracted || {})) parts.push(value);
    for (const judge of item.judges) parts.push(judge.judge, judge.reasons, judge.why);
    return parts.filter((part) => part !== null && part !== undefined && part !== "").join("\n").toLowerCase();
  };
  const absorb = (number, items) => {
    const texts = [], from = new Uint32Array(items.length + 1);
    let at = 0;
    items.forEach((item, i) => {
      const text = searchable(item);
      from[i] = at;
      at += text.length + 1;
      texts.push(text);
    });
    from[items.length] = at;
    hay[number] = texts.join("\u0000") + "\u0000";
    starts[number] = from;
  };

  // -- search: all words, each anywhere in an item's text -------------------------------------------------------------
  const terms = (text) => [...text.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map((m) => m[1] || m[2]);
  const matching = (text) => {
    const words = terms(text).sort((a, b) => b.length - a.length);
    if (!words.length) return null;
    const found = new Uint8Array(head.items);  // by item: how many of the words it has
    for (let b = 0; b < hay.length; b++) {
      const from = starts[b], whole = hay[b], base = b * size;
      words.forEach((word, n) => {
        for (let i = 0, at = whole.indexOf(word); at >= 0; at = whole.indexOf(word, from[i + 1])) {
          while (from[i + 1] <= at) i++;
          if (found[base + i] === n) found[base + i] = n + 1;
        }
      });
    }
    return found.map((had) => (had === words.length ? 1 : 0));
  };

  // -- filters --------------------------------------------------------------------------------------------------------
  const controls = [...$("filters").querySelectorAll("select")];
  const text = (value) => (value === null || value === undefined ? "" : String(value));
  const tests = {
    batch: (value, i) => index.batch[i] === value,
    outcome: (value, i) => index.outcome[i] === value,
    verdict: (value, i) => ({
      right: index.verdict[i] !== null && index.verdict[i] >= 0.5,
      wrong: index.verdict[i] !== null && index.verdict[i] < 0.5,
      disagree: (index.flags[i] & 1) === 1,
      none: index.verdict[i] === null,
    })[value],
    mark: (value, i) => (index.flags[i] & { flagged: 2, labelled: 4, against: 8 }[value]) > 0,
  };
  head.columns.forEach((name, n) => {
    tests[`column-${n}`] = (value, i) => text(index.columns[i][name]) === value;
  });
  const state = () => {
    const said = {};
    for (const control of controls) if (control.value) said[control.id] = control.value;
    if ($("search").value.trim()) said.q = $("search").value.trim();
    return said;
  };
  const select = () => {
    const said = state(), wanted = Object.entries(said).filter(([name]) => tests[name]);
    const found = said.q ? matching(said.q) : null;
    const list = [];
    for (let i = 0; i < index.item.length; i++) {
      if (found && !found[i]) continue;
      let fits = true;
      for (const [name, value] of wanted) if (!tests[name](value, i)) { fits = false; break; }
      if (fits) list.push(i);
    }
    if (said.sort) {
      const sign = said.sort === "low" ? 1 : -1;
      const rank = (i) => (index.verdict[i] === null ? Infinity : sign * index.verdict[i]);
      list.sort((a, b) => rank(a) - rank(b) || a - b);
    }
    shown = list;
  };
  const refresh = ({ keep = false } = {}) => {
    select();
    for (const control of controls) control.classList.toggle("set", Boolean(control.value));
    current = shown.indexOf(chosen);
    if (!keep) $("scroll").scrollTop = 0;
    draw();
    say();
    remember();
  };
  const say = () => {
    const all = head.items, read = hay.length >= head.blocks;
    const part = shown.length === all ? `${count(all)} items` : `${count(shown.length)} of ${count(all)} items`;
    $("status").textContent = read ? part : `${part}; reading texts for the search, ${Math.round((100 * hay.length) / head.blocks)} %`;
  };

  // -- the list: only the rows that are seen exist --------------------------------------------------------------------
  const badge = (word, kind) => el("span", `badge ${kind || ""}`, word);
  const verdictBadge = (value) => {
    if (value === null || value === undefined) return null;
    const word = value === 1 ? "right" : value === 0 ? "wrong" : (100 * value).toFixed(0);
    return badge(word, value >= 0.5 ? "good" : "bad");
  };
  const outcomeBadge = (word) => (word === "ok" ? null : badge(word, word === "refused" || word === "unparsed" ? "warn" : "bad"));
  const label = (i) => index.item[i] + (index.sample[i] ? ` #${index.sample[i]}` : "");
  const draw = () => {
    const scroll = $("scroll"), list = $("list");
    list.style.height = `${Math.max(shown.length * ROW, 1)}px`;
    const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - 6);
    const last = Math.min(shown.length, first + Math.ceil((scroll.clientHeight || 600) / ROW) + 12);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(row(place));
    list.replaceChildren(...rows);
    if (current >= first && current < last) list.setAttribute("aria-activedescendant", `row-${current}`);
    else list.removeAttribute("aria-activedescendant");
  };
  const row = (place) => {
    const i = shown[place], node = el("div", "row"), line = el("div", "line"), id = el("span", "id", label(i));
    node.id = `row-${place}`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", String(place === current));
    node.setAttribute("aria-posinset", String(place + 1));
    node.setAttribute("aria-setsize", String(shown.length));
    node.style.top = `${place * ROW}px`;
    if (head.batches.length > 1) id.append(el("small", "", index.batch[i]));
    line.append(id);
    if (index.flags[i] & 1) line.append(badge("disagree", "accent"));
    if (index.flags[i] & 2) line.append(badge("flagged", "warn"));
    for (const made of [outcomeBadge(index.outcome[i]), verdictBadge(index.verdict[i])]) if (made) line.append(made);
    node.append(line, el("p", "", index.snippet[i]));
    node.addEventListener("click", () => open(place));
    return node;
  };
  const reveal = (place) => {
    const scroll = $("scroll"), top = place * ROW;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top + ROW > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + ROW - scroll.clientHeight;
  };

  // -- one item -------------------------------------------------------------------------------------------------------
  const marked = (node, words) => {
    if (!words.length) return node;
    const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT), texts = [];
    while (walk.nextNode()) texts.push(walk.currentNode);
    for (const one of texts) {
      const low = one.data.toLowerCase(), spans = [];
      if (low.length !== one.data.length) continue;
      for (const word of words) for (let at = low.indexOf(word); at >= 0 && spans.length < 500; at = low.indexOf(word, at + word.length)) spans.push([at, at + word.length]);
      spans.sort((a, b) => a[0] - b[0]);
      const parts = [];
      let end = 0;
      for (const [from, to] of spans) {
        if (from < end) continue;
        parts.push(one.data.slice(end, from), el("mark", "", one.data.slice(from, to)));
        end = to;
      }
      if (parts.length) one.replaceWith(...parts, one.data.slice(end));
    }
    return node;
  };
  const part = (title, content, kind) => {
    if (content === null || content === undefined || content === "" || (Array.isArray(content) && !content.length)) return [];
    const body = content instanceof Node ? content : el("p", `text ${kind || ""}`, Array.isArray(content) ? content.join("\n") : content);
    return [el("h4", "", title), body];
  };
  const picture = (key, facts) => {
    const figure = el("figure"), image = el("img");
    image.src = $(`picture-${key}`).textContent;
    image.alt = facts && facts.path ? `Picture ${facts.path}` : "Picture of the question";
    figure.append(image);
    if (facts && facts.path) figure.append(el("small", "", facts.path));
    return figure;
  };
  const judged = (judge) => {
    const node = el("div", "judge"), line = el("div", "line");
    line.append(el("span", "", judge.judge));
    line.append(verdictBadge(judge.verdict) || badge(judge.status === "valid" ? "voted" : judge.status, ""));
    const values = Object.entries(judge.values).map(([name, value]) => `${name} ${Number(value.toFixed(3))}`);
    for (const [name, said] of Object.entries(judge.labels)) values.push(`${name} ${said}`);
    if (values.length) line.append(el("small", "", values.join(", ")));
    node.append(line);
    if (judge.reasons) node.append(el("p", "text", judge.reasons));
    if (judge.why) node.append(el("p", "text", judge.why));
    return node;
  };
  const elsewhere = (i) => {
    const places = [];
    if (head.batches.length > 1 || index.sample.some(Boolean)) {
      for (let other = 0; other < index.item.length; other++) if (other !== i && index.item[other] === index.item[i]) places.push(other);
    }
    if (!places.length) return null;
    const node = el("div", "pairs");
    for (const other of places.slice(0, 40)) {
      const button = el("button", "quiet", `${index.batch[other]}${index.sample[other] ? ` #${index.sample[other]}` : ""} `);
      button.type = "button";
      const made = verdictBadge(index.verdict[other]) || outcomeBadge(index.outcome[other]);
      if (made) button.append(made);
      button.addEventListener("click", () => show(other, true));
      node.append(button);
    }
    return node;
  };
  const extracted = (item) => {
    const said = item.extracted;
    if (!said) return null;
    const names = Object.keys(said);
    if (names.length === 1 && String(said[names[0]]) === item.answer) return null;
    return names.map((name) => `${name}: ${typeof said[name] === "string" ? said[name] : JSON.stringify(said[name])}`);
  };
  const render = (i, item) => {
    const top = el("header"), title = el("h3", "", label(i)), back = el("button", "quiet", "‹ List");
    back.setAttribute("aria-label", "Back to the list");
    back.type = "button";
    back.id = "back";
    back.addEventListener("click", close);
    const step = (word, by) => {
      const button = el("button", "quiet", word);
      button.type = "button";
      button.disabled = current < 0 || !shown[current + by] && shown[current + by] !== 0;
      button.addEventListener("click", () => move(by));
      return button;
    };
    top.append(back, title);
    for (const made of [outcomeBadge(item.outcome), verdictBadge(item.verdict), item.disagree ? badge("judges disagree", "accent") : null]) if (made) top.append(made);
    const steps = el("div", "steps");
    steps.append(step("Previous", -1), step("Next", 1));
    top.append(steps);
    const facts = el("dl", "facts"), usage = item.usage || {};
    const told = [
      ["Batch", item.batch], ["Row", item.row], ["Model served", item.model], ["Request", item.request],
      ["Tokens", item.usage ? `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out` : null],
      ["Ended because", item.finish], ["Asked again", item.retried ? "yes" : null],
      ...Object.entries(item.columns).map(([name, value]) => [name, text(value)]),
    ];
    for (const [name, value] of told) {
      if (value === null || value === undefined || value === "") continue;
      const pair = el("div");
      pair.append(el("dt", "", name), el("dd", "", value));
      facts.append(pair);
    }
    const judges = el("div");
    judges.append(...item.judges.map(judged));
    const human = Object.entries(item.human).map(([name, value]) => `${name}: ${typeof value === "boolean" ? (value ? "right" : "wrong") : value}`);
    const body = el("div");
    body.append(
      ...part("Question", item.question),
      ...item.keys.map((key, n) => picture(key, item.pictures[n])),
      ...(item.keys.length ? [] : part("Pictures", item.pictures.map((p) => p.path || `${p.type}, ${count(p.bytes)} bytes`))),
      ...part("Context", item.context),
      ...part("Options", item.options),
      ...part("Reference", item.references),
      ...part("Answer", item.answer, "boxed"),
      ...part("Extracted answer", extracted(item)),
      ...part("Error", item.error, "bad-box"),
      ...part("Human label", human),
      ...part("Flags", item.flags),
      ...(item.judges.length ? part("Judges", judges) : []),
      ...part("The same item elsewhere", elsewhere(i)),
      ...part("Facts", facts),
    );
    $("detail").replaceChildren(top, marked(body, terms($("search").value)));
    $("detail").scrollTop = 0;
  };
  let turn = 0;
  const show = async (i, focus) => {
    const mine = ++turn;
    chosen = i;
    current = shown.indexOf(i);
    const items = await block(Math.floor(i / size));
    if (mine !== turn) return;
    render(i, items[i % size]);
    document.body.classList.add("open");
    if (current >= 0) reveal(current);
    draw();
    remember();
    if (focus) $("detail").focus({ preventScroll: true });
  };
  const open = (place, focus = false) => show(shown[place], focus || matchMedia("(max-width: 47rem)").matches);
  const move = (by) => {
    const place = current < 0 ? (by > 0 ? 0 : shown.length - 1) : current + by;
    if (place >= 0 && place < shown.length) open(place);
  };
  const close = () => {
    turn++;
    chosen = current = -1;
    document.body.classList.remove("open");
    $("detail").replaceChildren(el("p", "about", "Choose an item."));
    draw();
    remember();
    $("list").focus({ preventScroll: true });
  };

  // -- the address: what is shown can be linked to --------------------------------------------------------------------
  let touched = false;
  const remember = () => {
    if (!touched) return;
    const said = new URLSearchParams(state());
    if (chosen >= 0) said.set("open", `${index.batch[chosen]}/${index.item[chosen]}/${index.sample[chosen]}`);
    const text = said.toString();
    history.replaceState(null, "", text ? `#items?${text}` : "#items");
  };
  const recall = async () => {
    const [name, query] = location.hash.split(/\?(.*)/s);
    if (name !== "#items" || !query) return;
    const said = new URLSearchParams(query);
    $("search").value = said.get("q") || "";
    for (const control of controls) {
      control.value = said.get(control.id) || "";
      if (control.selectedIndex < 0) control.value = "";
    }
    refresh();
    $("items").scrollIntoView();
    const wanted = said.get("open");
    if (!wanted) return;
    const i = index.item.findIndex((item, n) => `${index.batch[n]}/${item}/${index.sample[n]}` === wanted);
    if (i >= 0) await show(i);
  };

  // -- keys, theme, start ---------------------------------------------------------------------------------------------
  const theme = () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  };
  const wait = (task, ms) => {
    let timer = 0;
    return () => { clearTimeout(timer); timer = setTimeout(task, ms); };
  };
  const listen = () => {
    const act = () => { touched = true; refresh(); };
    $("search").addEventListener("input", wait(act, 60));
    for (const control of controls) control.addEventListener("change", act);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("clear").addEventListener("click", () => { $("filters").reset(); act(); });
    $("scroll").addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
    addEventListener("resize", () => requestAnimationFrame(draw));
    addEventListener("hashchange", recall);
    $("list").addEventListener("click", () => { touched = true; }, true);
    $("list").addEventListener("keydown", (event) => {
      const page = Math.max(1, Math.floor($("scroll").clientHeight / ROW) - 1);
      const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length }[event.key];
      if (!by || !shown.length) return;
      event.preventDefault();
      touched = true;
      open(Math.min(shown.length - 1, Math.max(0, Math.max(current, by > 0 ? -1 : 0) + by)));
    });
    addEventListener("keydown", (event) => {
      const typing = event.target.matches("input, select, textarea");
      if (event.key === "Escape") {
        if (document.activeElement === $("search")) $("search").blur();
        else if (chosen >= 0) { touched = true; close(); }
        return;
      }
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      touched = true;
      if (event.key === "/") { event.preventDefault(); $("search").focus(); $("search").select(); }
      else if (event.key === "j") move(1);
      else if (event.key === "k") move(-1);
      else if (event.key === "t") theme();
    });
    const spy = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const link = document.querySelector(`nav a[href="#${entry.target.id}"]`);
        if (!link || !entry.isIntersecting) continue;
        for (const other of document.querySelectorAll("nav a[aria-current]")) other.removeAttribute("aria-current");
        link.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-20% 0px -70% 0px" });
    for (const section of document.querySelectorAll("main > section")) spy.observe(section);
  };
  const fill = (id, values) => {
    const control = $(id);
    for (const value of [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))) {
      if (value === "") continue;
      const option = el("option", "", value);
      option.value = value;
      control.append(option);
    }
  };
  const start = async () => {
    $("theme").addEventListener("click", theme);
    listen();
    for (let part = 0; part < head.indexes; part++) {
      const more = await inflated(`index-${part}`);
      for (const name in more) index[name] = (index[name] || []).concat(more[name]);
    }
    fill("outcome", index.outcome);
    head.columns.forEach((name, n) => fill(`column-${n}`, index.columns.map((own) => text(own[name]))));
    refresh();
    performance.mark("batchflow-listed");
    await recall();
    const ahead = [];  // the browser decompresses some blocks while this thread reads another
    for (let number = 0; number < head.blocks; number++) {
      while (ahead.length < 4 && number + ahead.length < head.blocks) ahead.push(inflated(`block-${number + ahead.length}`));
      absorb(number, await ahead.shift());
      if (number % 8 === 7) { say(); await new Promise((next) => setTimeout(next)); }
    }
    performance.mark("batchflow-ready");
    document.documentElement.dataset.ready = "yes";
    if ($("search").value.trim()) refresh({ keep: true });
    else say();
  };
  start();
})();
