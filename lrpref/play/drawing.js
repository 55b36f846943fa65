// The picture that the sections share: its pixels, the pad to draw on with pointer or keyboard, and who listens.
"use strict";

/** The networks of the page; those in which BatchNorm can be folded come once more at the end, with it folded. */
PLAY.networks = (data) => {
  const folds = ({ nodes, layers }) => {
    const type = Object.fromEntries(nodes.map(([name, key]) => [name, layers[key].type]));
    return nodes.some(([name, , [before]]) => type[name] === "BatchNorm" && /^(Dense|Conv2D)$/.test(type[before]));
  };
  const folded = (about) => LRP.fuse(LRP.network(about));
  return [
    ...data.networks.map((about) => PLAY.network(about, about.name, LRP.network)),
    ...data.networks.filter(folds).map((about) => PLAY.network(about, `${about.name}, folded`, folded)),
  ];
};

/** A network of the page, which is made when it is needed. */
PLAY.network = (about, name, make) => {
  const { mean, std } = about;
  const normalised = (pixel, c) => (pixel - mean[c]) / std[c];
  const bound = (pixel) => mean.map((_, c) => normalised(pixel, c));
  let net = null;
  return {
    ...about,
    name,
    get net() {
      return (net ??= make(about));
    },
    box: { low: bound(0), high: bound(1) }, // what black and white are to the network
    ofPixels: ({ shape, data }) => {
      const cells = data.length / shape[0];
      return { shape, data: data.map((pixel, i) => normalised(pixel, Math.floor(i / cells))) };
    },
  };
};

/** A drawing: pixels (C, H, W) from 0 to 1, with the strokes that made it, so that they can be undone. */
PLAY.drawing = (shape) => {
  const listeners = [];
  let pixels = LRP.zeros(shape);
  let history = [];
  const changed = (how) => listeners.forEach((listen) => listen(how));
  return {
    get pixels() {
      return pixels;
    },
    get canUndo() {
      return history.length > 0;
    },
    /** Call listen("begin") before a stroke, "stroke" after each of its dots, "end", and "all" after other changes. */
    listen: (listen) => listeners.push(listen),
    /** Call draw() after a stroke or another change, but not while a stroke is drawn. */
    settled: (draw) => listeners.push((how) => how !== "begin" && how !== "stroke" && draw()),
    begin() {
      changed("begin");
      history.push(pixels);
      pixels = { shape: pixels.shape, data: pixels.data.slice() };
    },
    /** Draw, or rub out, a soft dot around (y, x); in pixels, row and column from 0. */
    dot(y, x, rub, paper) {
      const [C, H, W] = pixels.shape;
      for (let row = Math.max(0, Math.floor(y - 2)); row <= Math.min(H - 1, y + 2); row++) {
        for (let column = Math.max(0, Math.floor(x - 2)); column <= Math.min(W - 1, x + 2); column++) {
          const distance = Math.hypot(row - y, column - x);
          for (let c = 0; c < C; c++) {
            const i = (c * H + row) * W + column;
            if (rub && distance <= 1.5) pixels.data[i] = paper[c];
            if (!rub) pixels.data[i] = Math.max(pixels.data[i], Math.min(1, Math.max(0, 1.7 - distance)));
          }
        }
      }
      changed("stroke");
    },
    end: () => changed("end"),
    undo() {
      if (history.length) pixels = history.pop();
      changed("all");
    },
    replace(given) {
      history.push(pixels);
      pixels = given;
      changed("all");
    },
    /** Start anew with a picture, perhaps of another shape. */
    reset(given) {
      history = [];
      pixels = given;
      changed("all");
    },
  };
};

/**
 * The pad: a canvas on which a pointer draws. From the keyboard, the arrow keys move a cursor, Space makes a dot, and
 * Enter lowers and lifts the pen, which then draws as the cursor moves.
 */
PLAY.pad = (drawing, { rubbing, paper, moved }) => {
  const canvas = PLAY.el("canvas", {
    class: "pad",
    id: "pad",
    tabindex: "0",
    role: "application",
    "aria-label": "Drawing pad. Arrow keys move the cursor, Space makes a dot, Enter lowers or lifts the pen.",
  });
  let cursor = { y: 14, x: 14 };
  let down = false; // the pen, by pointer or by Enter
  let byKey = false;

  function show() {
    const { shape, data } = drawing.pixels;
    const [C, H, W] = shape;
    const [paperGrey, inkGrey] = PLAY.dark.matches ? [22, 240] : [255, 0]; // dark ink on light paper, or the reverse
    const grey = (p) => Array(3).fill(Math.round(paperGrey + (inkGrey - paperGrey) * data[p]));
    const colour = (p) => [0, 1, 2].map((c) => Math.round(255 * data[c * H * W + p]));
    PLAY.paint(canvas, [H, W], C === 1 ? grey : colour);
    if (document.activeElement !== canvas) return;
    const pen = canvas.getContext("2d");
    pen.fillStyle = down ? "rgba(217, 95, 2, 0.9)" : "rgba(217, 95, 2, 0.55)";
    pen.fillRect(Math.round(cursor.x), Math.round(cursor.y), 1, 1);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const [, H, W] = drawing.pixels.shape;
    const at = (offset, length, n) => Math.max(0, Math.min(n - 1, (offset / length) * n - 0.5));
    return { y: at(event.clientY - box.top, box.height, H), x: at(event.clientX - box.left, box.width, W) };
  }

  function dot({ y, x }) {
    drawing.dot(y, x, rubbing(), paper());
  }

  function line(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.y - from.y, to.x - from.x)));
    for (let k = 1; k <= steps; k++) {
      dot({ y: from.y + ((to.y - from.y) * k) / steps, x: from.x + ((to.x - from.x) * k) / steps });
    }
  }

  function lower() {
    down = true;
    drawing.begin();
    dot(cursor);
  }

  function lift() {
    if (!down) return;
    down = false;
    byKey = false;
    drawing.end();
    show();
  }

  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.focus();
    lift();
    canvas.setPointerCapture(event.pointerId);
    cursor = place(event);
    lower();
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (down && !byKey) {
      line(cursor, at);
      cursor = at;
    }
    moved(Math.round(at.y), Math.round(at.x));
  });
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("blur", () => (byKey && lift(), show()));
  canvas.addEventListener("focus", show);
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!way && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    const [, H, W] = drawing.pixels.shape;
    if (way) {
      const from = cursor;
      const within = (at, n) => Math.max(0, Math.min(n - 1, Math.round(at)));
      cursor = { y: within(cursor.y + way[0], H), x: within(cursor.x + way[1], W) };
      if (down && byKey) line(from, cursor);
    } else if (event.key === " ") {
      if (!down) (lower(), lift());
    } else if (down) lift();
    else (lower(), (byKey = true));
    show();
    moved(Math.round(cursor.y), Math.round(cursor.x));
  });
  drawing.listen((how) => {
    if (how === "all") down = byKey = false; // another picture ends a stroke
    show();
  });
  PLAY.dark.addEventListener("change", show);
  return { element: canvas, show };
};
