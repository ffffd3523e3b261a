"""A second train, written from the rules and not from the code: lists of names, and no more."""


class Riders(list[str]):
    """A car: who rides in it, and who drives it without riding."""

    driver = ""


class Model:
    """Says who rides where, who leads, and who has signed for what."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.cars: list[Riders] = []
        self.under_way: tuple[str, str] | None = None
        """Build and tier of the first car, once it has left."""
        self.signed: dict[str, tuple[str, str]] = {}
        self.doors: dict[str, str] = {}
        self.against: set[str] = set()
        self.dark: set[str] = set()
        self.nobody = False

    @property
    def aboard(self) -> set[str]:
        return {name for car in self.cars for name in car}

    @property
    def driver(self) -> str:
        return self.cars[0].driver if self.cars else ""

    @driver.setter
    def driver(self, who: str) -> None:
        if self.cars:
            self.cars[0].driver = who

    @property
    def leader(self) -> str:
        if not self.cars or self.nobody:
            return ""
        return self.driver or (self.cars[0] or [""])[0]

    def car(self, who: str) -> int:
        return next((i for i, car in enumerate(self.cars) if who in car), -1)

    def left(self, i: int) -> bool:
        return i == 0 and self.under_way is not None

    def takes_anybody(self, i: int) -> bool:
        shut = [name for name in self.cars[i] if self.doors[name] != "open"]
        return not self.left(i) and len(self.cars[i]) < self.size and not shut

    def join(self, who: str, how: str, other: str, door: str) -> bool:
        """Whether it is allowed; then it is done."""
        here = self.car(who)
        if here >= 0 and door != "open" and len(self.cars[here]) > 1 and how == "":
            how = "last"
        if here >= 0 and how == "":
            self.doors[who] = self.doors[who] if door == "open" else door
            return True
        if here >= 0 and self.left(here):
            return False
        if how in ("with", "before"):
            there = self.car(other)
            if there < 0:
                return False
            if how == "before" and self.left(there):
                return False
            if other == who:
                self._keep(who, door)
                return True
        if how == "with":
            if there != here:
                if door == "hold" or self.left(there) or len(self.cars[there]) >= self.size:
                    return False
                if any(self.doors[name] == "hold" for name in self.cars[there]):
                    return False
                self._move(who, self.cars[there], door)
            else:
                self._keep(who, door)
            return True
        if how == "before":
            ahead = self.cars[there - 1] if there else None
            if ahead is not None and who in ahead and (door == "open" or ahead == [who]):
                self._keep(who, door)
            elif (
                ahead is not None
                and who not in ahead
                and door == "open"
                and self.takes_anybody(there - 1)
            ):
                self._move(who, ahead, door)
            else:
                fresh = Riders()
                self.cars.insert(there, fresh)
                self.nobody = self.nobody and there > 0
                self._move(who, fresh, door)
            return True
        if how == "last" and self.cars:
            end = self.cars[-1]
            if who in end and (door == "open" or end == [who]):
                self._keep(who, door)
                return True
            if who not in end and door == "open" and self.takes_anybody(len(self.cars) - 1):
                self._move(who, end, door)
                return True
        elif how == "" and door == "open":
            for i, car in enumerate(self.cars):
                if self.takes_anybody(i):
                    self._move(who, car, door)
                    return True
        fresh = Riders()
        self.cars.append(fresh)
        self._move(who, fresh, door)
        return True

    def _keep(self, who: str, door: str) -> None:
        if door != "open":
            self.doors[who] = door

    def _move(self, who: str, into: Riders, door: str) -> None:
        here = self.car(who)
        if here >= 0:
            self.cars[here].remove(who)
        into.append(who)
        self.doors[who] = door if door != "open" else self.doors.get(who, "open")
        self._sweep()

    def _sweep(self) -> None:
        first = self.cars[:1]
        self.cars = [car for i, car in enumerate(self.cars) if car or self.left(i)]
        if not self.cars or self.cars[0] is not first[0]:
            self.nobody = False
        self.settle()

    def settle(self) -> None:
        """A car that nobody leads lets the others go first."""
        if self.nobody and self.under_way is None and len(self.cars) > 1:
            self.cars[0].driver = ""
            self.cars.append(self.cars.pop(0))
            self.nobody = False

    def out(self, who: str) -> None:
        was_there = self.cars and (who in self.cars[0] or who == self.driver)
        here = self.car(who)
        if here >= 0:
            self.cars[here].remove(who)
            del self.doors[who]
            self.signed.pop(who, None)
            if here == 0 and not self.cars[0] and not self.left(0):
                self.nobody = False
        if who == self.driver:
            self.driver = ""
        self.against.discard(who)
        self.dark.discard(who)
        self._sweep()
        if was_there and self.cars and self.left(0) and not self.cars[0] and not self.driver:
            self.nobody = True

    def lead(self, who: str) -> None:
        if who in self.cars[0]:
            self.cars[0].remove(who)
            self.cars[0].insert(0, who)
            self.driver = ""
        else:
            self.driver = who
        self.nobody = False

    def may_go(self) -> bool:
        """Whether everybody of the first car has signed for where it is."""
        wanted = self.under_way or ("", "")
        return not self.against and all(
            self.signed.get(name) == wanted or name in self.dark for name in self.cars[0]
        )

    def ends(self) -> None:
        """The first car's ride is over."""
        for name in self.cars.pop(0):
            del self.doors[name]
            self.signed.pop(name, None)
            self.dark.discard(name)
        self.back()

    def back(self) -> None:
        """The first car is back at the station."""
        self.under_way, self.nobody, self.against = None, False, set()
